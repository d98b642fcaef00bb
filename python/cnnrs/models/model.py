"""`Model`: layers with the means to train, evaluate, save and describe them."""

from __future__ import annotations

import json
from typing import Any

from cnnrs import _core, ops, saving, serialization, tree
from cnnrs.base import suggest
from cnnrs.base.arguments import named, reject
from cnnrs.layers.base import Layer
from cnnrs.layers.calls import _call_signature, _is_shape, _shape_of, _symbols
from cnnrs.layers.former_names import FormerNamesOfModels
from cnnrs.models import functional_config
from cnnrs.models.graph import Graph
from cnnrs.models.inputs import fit_input, in_order, warn_of_structure
from cnnrs.models.replay import Replays
from cnnrs.models.state_tree import StateTree
from cnnrs.models.summary import summarize
from cnnrs.ops.masks import with_mask
from cnnrs.symbolic import KerasTensor

__all__ = ["Functional", "Model"]


def _graph_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return (
        len(args) == 2
        or ("inputs" in kwargs and "outputs" in kwargs)
        or (len(args) == 1 and "outputs" in kwargs)
    )


class Model(FormerNamesOfModels, StateTree):
    """Layers with the means to train them.

    `Model(inputs, outputs)` is the network between symbolic tensors; a subclass defines `call` instead.

    Args:
        inputs: Symbolic tensors from `Input`, nested or not.
        outputs: Symbolic tensors made of them, nested or not.
        name: Name.
        trainable: Whether training changes the weights.

    >>> from cnnrs import Input, Model, layers
    >>> x = Input((28, 28, 1))
    >>> y = layers.Dense(10)(layers.Flatten()(x))
    >>> model = Model(x, y)
    >>> model.count_params()
    7850
    >>> model.output_shape
    (None, 10)
    """

    _takes_plain_arguments = True
    # What `Model(inputs, outputs)` takes besides what `__init__` names.
    further_arguments = ("inputs", "outputs", "input_shape", "input_dim")
    _carries_masks = True
    _unowned = StateTree._unowned | {"_graph", "_image_preprocessing", "_names", "_replays"}

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _graph_arguments(args, kwargs):
            return super().__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        graph = None
        if _graph_arguments(args, kwargs):
            graph = (*args, *(kwargs.pop(key) for key in ("inputs", "outputs")[len(args) :]))
        elif args:
            raise TypeError(
                f"{type(self).__name__}: expected inputs and outputs, received {len(args)} arguments"
            )
        super().__init__(**kwargs)
        self._graph: Graph | None = None
        self._replays = Replays()
        self._warned_of_structure = False
        if graph is not None:
            self._set_graph(Graph(graph[0], graph[1], self.name))

    def _set_graph(self, graph: Graph) -> None:
        names: dict[str, Any] = {}
        for operation in graph.operations:
            if names.setdefault(operation.name, operation) is not operation:
                raise ValueError(
                    f"{self.name}: expected layers with different names, received two {operation.name!r}"
                )
        self._graph = graph
        self._note_graph()

    def _note_graph(self) -> None:
        """The graph is another one than before."""
        self._forget_recorded()
        self.built = True

    def _sublayers(self) -> list[Any]:
        found: dict[int, Layer] = {}
        if self._graph is not None:
            for operation in self._graph.operations:
                if isinstance(operation, Layer):
                    found.setdefault(id(operation), operation)
        for layer in super()._sublayers():
            found.setdefault(id(layer), layer)
        return list(found.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._graph is not None:
            outputs = self._replays.outputs(self, args, kwargs)
            if outputs is not None:
                return outputs
        return super().__call__(*args, **kwargs)

    def _defines_call(self) -> bool:
        """Whether the model can be called: it has a graph, or its class defines `call`."""
        return self._graph is not None or type(self).call is not Model.call

    def _is_functional(self) -> bool:
        """Whether the model is the network between symbolic tensors."""
        return self._graph is not None

    def _casts_inputs(self) -> bool:
        # A graph gives each layer inside what it takes; its first one may well compute in float32.
        return self._graph is None

    def _output_names(self) -> list[str] | None:
        return None if self._graph is None else self.output_names

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Outputs for inputs. A subclass without a graph defines it."""
        if self._graph is None:
            raise NotImplementedError(f"{type(self).__name__}: expected the class to define call(inputs)")
        given = self._standardize_inputs(inputs)
        if mask is not None:
            given = [with_mask(x, own) for x, own in zip(given, tree.flatten(mask), strict=True)]
        outputs = self._graph.run(given)
        # A list of one output is that output, as in Keras.
        single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        return outputs[0] if single else outputs

    def _standardize_inputs(self, inputs: Any) -> list[Any]:
        assert self._graph is not None
        given, fits = in_order(self._graph, inputs, self.name)
        if not fits and not self._warned_of_structure:
            self._warned_of_structure = True
            warn_of_structure(self._graph, inputs)
        pairs = zip(given, self._graph.inputs, strict=True)
        return [fit_input(value, x, self.name) for value, x in pairs]

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside of the model."""
        return self._sublayers()

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            f"{self.name}: layers: the model lists its layers there; give the attribute another name"
        )

    @property
    def inputs(self) -> list[KerasTensor]:
        """Symbolic inputs, flat."""
        return self._require_graph("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """Symbolic outputs, flat."""
        return self._require_graph("outputs").outputs

    @property
    def input(self) -> Any:
        """The symbolic inputs, in the structure in which they were given."""
        return self._require_graph("input").inputs_structure

    @property
    def output(self) -> Any:
        """The symbolic outputs, in the structure in which they were given."""
        return self._require_graph("output").outputs_structure

    @property
    def input_shape(self) -> Any:
        """Shapes of the inputs."""
        return tree.map_structure(lambda x: x.shape, self.input)

    @property
    def output_shape(self) -> Any:
        """Shapes of the outputs."""
        return tree.map_structure(lambda x: x.shape, self.output)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [x.name for x in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the operations that make the outputs."""
        names = []
        for x in self.outputs:
            assert x._keras_history is not None
            names.append(x._keras_history[0].name)
        return names

    def _require_graph(self, attribute: str) -> Graph:
        if self._graph is None:
            raise AttributeError(
                f"{self.name} has no {attribute!r}: expected a functional model, or a built Sequential"
            )
        return self._graph

    def build(self, input_shape: Any) -> None:
        """Makes the weights by recording a call on inputs of this shape.

        A `call` that reads values cannot be recorded; it is run once on zeros instead, with one sample.
        """
        if self._graph is None and self._defines_call():
            try:
                self.compute_output_spec(_symbols(input_shape))
            except _core.TracedValueError:
                if not _is_known(input_shape):
                    raise
                takes_training = _call_signature(type(self)).training_position is not None
                with _core.no_grad():
                    self._compute(
                        False, (_zeros(input_shape),), {"training": False} if takes_training else {}
                    )
        self.built = True

    def _build_for(self, signature: Any, args: Any, kwargs: Any) -> None:
        if type(self).build is Model.build:
            # The call itself makes the layers' weights, on tensors whose values it may read.
            given = args[0] if args else next(iter(kwargs.values()))
            self._build_shapes = {"input_shape": tree.map_structure(_shape_of, given)}
        else:
            super()._build_for(signature, args, kwargs)

    def _compute(self, training: bool | None, args: Any, kwargs: Any) -> Any:
        outputs = super()._compute(training, args, kwargs)
        self.built = True
        return outputs

    @named
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index.

        Raises:
            ValueError: There is none.
        """
        if (name is None) == (index is None):
            raise ValueError(f"get_layer: expected name or index, received {name!r} and {index!r}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"get_layer: index: expected less than {len(layers)} layers, received {index}"
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        hint = suggest.did_you_mean(str(name), [layer.name for layer in layers])
        raise ValueError(f"{self.name}: get_layer: no layer is called {name!r}{hint}")

    def count_params(self) -> int:
        """Number of elements of all weights."""
        return Layer.count_params(self)

    @named
    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        *,
        flops: bool = False,
        receptive_field: bool = False,
        output_stride: bool = False,
        memory: bool = False,
        input_shape: Any = None,
    ) -> None:
        """Prints a table of the layers: name, output shape, parameters; on request, what `cnnrs.analysis`
        finds.

        Below are the counts of parameters and, where there are any, the memory of folded and packed filters:
        those of all models in this process, and their bound (`config.set_packed_limit`).

        Args:
            line_length: Width of the table in characters.
            positions: Where columns end, as parts of the width.
            print_fn: Called with the text instead of `print`.
            expand_nested: Whether to list the layers of models inside of the model.
            show_trainable: Whether to mark trainable layers.
            layer_range: Names of the first and the last layer to list.
            flops: Whether to show floating-point operations for one sample as recorded, before folding; a
                multiply-add counts 2 (`cnnrs.analysis.costs`).
            receptive_field: Whether to show what of the image an element of the result sees
                (`cnnrs.receptive_field`).
            output_stride: Whether to show the elements of the image between neighbours of the result.
            memory: Whether to show the memory of results, and below what a prediction and gradients need at
                most.
            input_shape: The shape of a sample for these columns, where the model's inputs leave it open.

        Raises:
            ValueError: `layer_range` names no layers; or a column needs shapes of inputs, and these are not
                known.
        """
        wanted = (flops, receptive_field, output_stride, memory)
        further = None
        if any(wanted):
            # Models are described far more often than they are looked into.
            from cnnrs.models.looking import look_into

            further = look_into(self, *wanted, input_shape)
        elif input_shape is not None:
            raise ValueError(
                f"{self.name}: summary: input_shape: expected flops, receptive_field, output_stride or "
                f"memory with it, received {input_shape!r}"
            )
        text = summarize(self, line_length, positions, expand_nested, show_trainable, layer_range, further)
        (print_fn or print)(text)

    # What is done to images before the model sees them: kept in its files, see `set_image_preprocessing`.
    _image_preprocessing: Any = None

    @named
    def set_image_preprocessing(
        self,
        class_names: Any = None,
        *,
        image_size: Any = None,
        color_mode: str | None = None,
        interpolation: str = "bilinear",
        fit: str = "stretch",
        scale: float = 1.0,
        mean: Any = 0.0,
        std: Any = 1.0,
        channel_order: str = "rgb",
    ) -> None:
        """Says what is done to images before the model sees them, and what its classes are called.

        It is kept in the model's file, so that `predict_image` does the same wherever the model is loaded. A
        pixel x from 0 to 255 becomes `(scale x - mean) / std`; leave that where the model has a `Rescaling`
        or `Normalization` of its own.

        Args:
            class_names: Names of the classes.
            image_size: (height, width) that images are resized to; None takes that of the model's input.
            color_mode: "rgb", "rgba" or "grayscale"; None takes what the channels of the model's input say.
            interpolation: How images are resized, as in `ops.image.resize`.
            fit: Where proportions differ: "stretch" as `image_dataset_from_directory` does; "crop"; "pad".
            scale: What pixels are multiplied by.
            mean: What is subtracted then: a number, or one for each channel.
            std: What it is divided by: a number, or one for each channel.
            channel_order: "rgb" or "bgr".

        Raises:
            ValueError: An argument is none of these, or there are not as many names as classes.

        >>> import cnnrs
        >>> from cnnrs import layers
        >>> model = cnnrs.Sequential(
        ...     [cnnrs.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, activation="softmax")]
        ... )
        >>> model.set_image_preprocessing(["cat", "dog"], scale=1 / 255)
        >>> model.get_image_preprocessing().image_size, model.get_image_preprocessing().color_mode
        ((8, 8), 'rgb')
        """
        from cnnrs.evaluation.prediction import preprocessing_of

        preprocessing = preprocessing_of(
            self,
            class_names=class_names,
            image_size=image_size,
            color_mode=color_mode,
            interpolation=interpolation,
            fit=fit,
            scale=scale,
            mean=mean,
            std=std,
            channel_order=channel_order,
        )
        self._keep_image_preprocessing(preprocessing)

    def get_image_preprocessing(self) -> Any:
        """What `set_image_preprocessing` said: an `evaluation.ImagePreprocessing`, or None."""
        return self._image_preprocessing

    def _keep_image_preprocessing(self, preprocessing: Any) -> None:
        """Keeps an `ImagePreprocessing`, given itself or as its config, as files hold it."""
        if preprocessing is not None:
            from cnnrs.evaluation import ImagePreprocessing

            if not isinstance(preprocessing, ImagePreprocessing):
                preprocessing = ImagePreprocessing.from_config(preprocessing)
        # Nothing that is recorded depends on it.
        vars(self)["_image_preprocessing"] = preprocessing

    @named
    def predict_image(
        self,
        images: Any,
        batch_size: int = 32,
        augmented: bool = False,
        from_logits: bool | None = None,
    ) -> Any:
        """Class names and probabilities of images, which are prepared as `set_image_preprocessing` said.

        Args:
            images: A path, the bytes of a file, an image of Pillow, or an array (height, width, channels) of
                pixels from 0 to 255; or a list of them, or an array with the samples first.
            batch_size: Images that are computed at once.
            augmented: Whether probabilities are averaged with those of the mirror image.
            from_logits: Whether the model gives logits; None asks its loss, and looks at what it gives.

        Returns:
            An `evaluation.ImagePrediction`, or a list of them: `found.class_name`, `found.score`,
            `found.top(5)`.

        Raises:
            FileNotFoundError: There is no such file.
            TypeError: An image is none of these.
            ValueError: An image cannot be read, or has other channels.

        >>> import numpy as np
        >>> import cnnrs
        >>> from cnnrs import layers
        >>> model = cnnrs.Sequential(
        ...     [cnnrs.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2, activation="softmax")]
        ... )
        >>> model.set_image_preprocessing(["cat", "dog"], scale=1 / 255)
        >>> found = model.predict_image(np.zeros((20, 30, 3), np.uint8))
        >>> sorted(name for name, score in found.top())
        ['cat', 'dog']
        """
        from cnnrs.evaluation import prediction

        return prediction.predict_image(self, images, batch_size, augmented, from_logits)

    @named
    def save(self, filepath: Any, overwrite: bool = True, zipped: Any = None, **kwargs: Any) -> None:
        """Writes architecture, weights and optimizer state to a file, as `cnnrs.saving.save_model`."""
        reject(Model.save, [name for name in kwargs if name not in saving.OPTIONS], saving.OPTIONS)
        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    @named
    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Writes the weights to a file, as `cnnrs.saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    @named
    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads the weights from a file, as `cnnrs.saving.load_weights`."""
        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def quantize(  # type: ignore[override]  # as in Keras
        self, mode: Any = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> Any:
        """Raises NotImplementedError: models compute in float types."""
        super().quantize(mode, config=config)

    def _repr_html_(self) -> str:
        """The layers, for notebooks."""
        from cnnrs.models.notebook import html_of

        return html_of(self)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON. Arguments are those of `json.dumps`."""
        return json.dumps(serialization.serialize_keras_object(self), **kwargs)

    def get_config(self) -> dict[str, Any]:
        if self._graph is not None and type(self).__init__ in (Model.__init__, Functional.__init__):
            return functional_config.to_config(self)
        config = Layer.get_config(self)
        if type(self).get_config is Model.get_config and type(self).__init__ is not Model.__init__:
            return self._arguments_as_config(config)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The model with this architecture and fresh weights."""
        if "layers" in config and "input_layers" in config:
            return functional_config.from_config(cls, config, custom_objects)
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._graph is not None else Layer.get_build_config(self)


class _FunctionalType(type):
    """Makes instances of what has a graph: `class Own(Model)` made by `Own(inputs, outputs)`, too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if super().__instancecheck__(instance):
            return True
        return cls is Functional and isinstance(instance, Model) and instance._is_functional()


class Functional(Model, metaclass=_FunctionalType):
    """The network between symbolic tensors: what `Model(inputs, outputs)` makes."""

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        super().__init__(inputs, outputs, name=name, **kwargs)


def _is_known(shape: Any) -> bool:
    """Whether all extents in a structure of shapes are known, but for the batch."""
    if _is_shape(shape):
        return None not in shape[1:]
    return all(_is_known(part) for part in (shape.values() if isinstance(shape, dict) else shape))


def _zeros(shape: Any) -> Any:
    """Zeros of the shapes in a structure, with one sample."""
    if _is_shape(shape):
        return ops.zeros((1, *shape[1:]))
    if isinstance(shape, dict):
        return {key: _zeros(part) for key, part in shape.items()}
    return [_zeros(part) for part in shape]
