"""What Keras's networks share: their arguments, input, end and weights.

A network is a function from images to features, symbolic both, and a `Top`. `network` makes the public
function of it, where Keras's arguments are the usual ones; networks with further arguments call `assemble`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec

from cnnrs import activations, config, layers, symbolic, utils
from cnnrs.applications.arguments import documentation, usual
from cnnrs.applications.further_networks import ALL, names_published, without_weights
from cnnrs.applications.networks import File, Weights
from cnnrs.base import suggest
from cnnrs.base.arguments import integer
from cnnrs.base.user_warnings import warn_user
from cnnrs.initializers.draws import weights_follow
from cnnrs.models import Model
from cnnrs.ops.spatial import only_channels_last

__all__ = [
    "Top",
    "assemble",
    "channel_axis",
    "check_weights",
    "classifier",
    "correct_pad",
    "divisible",
    "given_shape",
    "input_shape_of",
    "inputs_of",
    "network",
    "network_of",
    "sources_of",
]

P = ParamSpec("P")


class Top(NamedTuple):
    """What stands behind the features.

    Attributes:
        classify: From features, number of classes and activation to the classes.
        average: Name of the average pooling, where there is no classifier; None for an automatic one.
        largest: Name of the maximum pooling, where there is no classifier; None for an automatic one.
        finish: What follows the features, or their pooling, where there is no classifier; None for nothing.
        pooled: From features to what pooling reads; None for the features themselves.
    """

    classify: Callable[[Any, int, Any], Any]
    average: str | None = None
    largest: str | None = None
    finish: Callable[[Any], Any] | None = None
    pooled: Callable[[Any], Any] | None = None


def classifier(pool: str | None) -> Callable[[Any, int, Any], Any]:
    """Average pooling, called `pool` or automatically, and a dense layer called "predictions"."""

    def classify(x: Any, classes: int, activation: Any) -> Any:
        x = layers.GlobalAveragePooling2D(name=pool)(x)
        return layers.Dense(classes, activation=activation, name="predictions")(x)

    return classify


def channel_axis(last: int = -1) -> int:
    """The axis of the channels of a batch: 1 for channels_first, or `last`, which names the last axis."""
    return 1 if config.image_data_format() == "channels_first" else last


def divisible(filters: float, by: int = 8) -> int:
    """The multiple of `by` next to `filters`, but no less than nine tenths of it, nor than `by`.

    >>> divisible(11), divisible(13), divisible(33)
    (16, 16, 32)
    """
    rounded = max(by, int(filters + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * filters else rounded


def correct_pad(x: Any, kernel_size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding with which a "valid" window of stride 2 reads what "same" would. Unknown extents are even.

    Args:
        x: Images, symbolic.
        kernel_size: Height and width of the window, odd.
    """
    axis = 2 if channel_axis() == 1 else 1
    half = kernel_size // 2
    top, left = (half - 1 + (extent or 0) % 2 for extent in x.shape[axis : axis + 2])
    return (top, half), (left, half)


def check_weights(
    weights: Any,
    include_top: bool,
    classes: Any,
    classifier_activation: Any,
    name: str,
    published: bool = True,
) -> None:
    """Checks where the weights come from, and that the classifier is theirs.

    Args:
        weights: What was given.
        include_top: Whether there is a classifier.
        classes: Number of its classes.
        classifier_activation: Its activation.
        name: The network, for messages.
        published: Whether there are weights trained on ImageNet.

    Raises:
        ValueError: `weights` is neither None, "imagenet" nor the path of a file, or the classifier is not
            that of the weights.
    """
    is_path = isinstance(weights, (str, os.PathLike)) and os.path.exists(weights)
    if weights not in ((None, "imagenet") if published else (None,)) and not is_path:
        trained = " 'imagenet' for trained ones," if published else ""
        raise ValueError(
            f"{name}: weights: expected None for random weights,{trained} or the path of a file that is "
            f"there, received {weights!r}"
        )
    integer(classes, name, "classes", least=1)
    if weights is None or not include_top or not published:
        return
    if weights == "imagenet" and classes != 1000:
        raise ValueError(
            f"{name}: classes: expected 1000, those of weights='imagenet', received {classes}; "
            "include_top=False leaves the classifier out, for one of your own"
        )
    allowed = (activations.get(None), activations.get("softmax"))
    if activations.get(classifier_activation) not in allowed:
        raise ValueError(
            f"{name}: classifier_activation: expected None or 'softmax', with which the weights were "
            f"trained, received {classifier_activation!r}"
        )


def input_shape_of(
    input_shape: Any, name: str, size: int, least: int, weights: Any, static: bool, sized: bool = False
) -> tuple[int | None, ...]:
    """Height, width and channels of the images, in the order of `config.image_data_format()`.

    Args:
        input_shape: What was given; None for the default.
        name: The network, for messages.
        size: Height and width by default.
        least: The smallest height and width.
        weights: What was given: "imagenet" asks for 3 channels, and with the classifier for `size`.
        static: Whether there is a classifier of images of one size.
        sized: Whether height and width must be known all the same.

    Raises:
        ValueError: The shape does not fit.
    """
    first = channel_axis() == 1

    def ordered(height: Any, width: Any, channels: Any) -> tuple[Any, ...]:
        return (channels, height, width) if first else (height, width, channels)

    def refuse(expected: str) -> ValueError:
        return ValueError(f"{name}: input_shape: expected {expected}, received {input_shape!r}")

    default = ordered(size, size, 3)
    if input_shape is None:
        return default if static or sized else ordered(None, None, 3)
    words = "(channels, height, width)" if first else "(height, width, channels)"
    try:
        shape = tuple(n if n is None else integer(n, name, "input_shape") for n in input_shape)
    except (TypeError, ValueError):
        raise refuse(f"{words} as integers, or None where unknown") from None
    if len(shape) != 3:
        raise refuse(f"{words}, three numbers without the batch")
    channels, extents = (shape[0], shape[1:]) if first else (shape[2], shape[:2])
    if channels is None or channels < 1:
        raise refuse(f"{words} with a known number of channels")
    if weights == "imagenet" and static and shape != default:
        raise refuse(f"{default}, with which the classifier of weights='imagenet' was trained")
    if weights == "imagenet" and channels != 3:
        raise refuse("3 channels, which weights='imagenet' were trained with")
    if (static or sized) and None in extents:
        reason = "the network" if sized else "include_top=True"
        raise refuse(f"{words} with known height and width, which {reason} needs")
    if any(n is not None and n < least for n in extents):
        raise refuse(f"{words} with height and width of at least {least}")
    if channels not in (1, 3):
        warn_user(f"{name}: input_shape has {channels} channels, where images usually have 1 or 3")
    return shape


def given_shape(input_shape: Any, default: tuple[int | None, ...], name: str) -> tuple[int | None, ...]:
    """Height, width and channels of images, of which the first two may be None.

    Raises:
        ValueError: The shape is none, or `config.image_data_format()` has the channels first.
    """
    only_channels_last(name)
    if input_shape is None:
        return default
    try:
        shape = tuple(n if n is None else integer(n, name, "input_shape", least=1) for n in input_shape)
    except TypeError:
        shape = ()
    if len(shape) != 3 or shape[2] is None:
        raise ValueError(
            f"{name}: input_shape: expected (height, width, channels), three numbers without the batch, "
            f"received {input_shape!r}"
        )
    return shape


def inputs_of(input_tensor: Any, input_shape: Any, shape: tuple[int | None, ...], name: str) -> Any:
    """The tensor to build on: the one given, or a new one.

    Args:
        input_tensor: What was given; None for a new input.
        input_shape: What was given; None for the default.
        shape: The shape of a new input.
        name: The network, for messages.

    Raises:
        ValueError: `input_tensor` is no symbolic tensor of images, or has another shape.
    """
    if input_tensor is None:
        return layers.Input(shape)
    if not symbolic.is_keras_tensor(input_tensor):
        raise ValueError(f"{name}: input_tensor: expected a result of Input, received {input_tensor!r}")
    if len(input_tensor.shape) != 4:
        raise ValueError(
            f"{name}: input_tensor: expected images of 4 axes, received shape {input_tensor.shape}"
        )
    if input_shape is not None and tuple(input_shape) != input_tensor.shape[1:]:
        raise ValueError(
            f"{name}: input_shape: expected None or {input_tensor.shape[1:]} as input_tensor has, received "
            f"{input_shape!r}"
        )
    return input_tensor


def sources_of(inputs: Any) -> Any:
    """The inputs of a model that is built on a tensor: those from which it comes."""
    sources = symbolic.get_source_inputs(inputs)
    return sources[0] if len(sources) == 1 else sources


def assemble(
    network: str,
    features: Callable[[Any], Any],
    top: Top,
    *,
    include_top: Any,
    weights: Any,
    input_tensor: Any,
    input_shape: Any,
    pooling: Any,
    classes: Any,
    classifier_activation: Any,
    name: str | None,
    size: int | None = None,
    static: bool | None = None,
    sized: bool = False,
    files: Weights | None = None,
    load: Callable[[Model, Any], None] = Model.load_weights,
) -> Model:
    """The model of a network.

    Args:
        network: Name in the table of networks.
        features: From symbolic images to features.
        top: What stands behind them.
        include_top: Whether the classifier does.
        weights: None for random ones, "imagenet", or the path of a file.
        input_tensor: A symbolic tensor to build on; None for a new input.
        input_shape: Shape of the images; None for the default.
        pooling: Without the classifier "avg", "max" or None.
        classes: Number of classes.
        classifier_activation: Activation of the classifier; None for logits.
        name: Name of the model.
        size: Height and width by default; None for those of the table.
        static: Whether height and width must be known; None for where there is a classifier.
        sized: Whether height and width must be known without the classifier, too.
        files: Trained weights; None for those of the table.
        load: Gives a model the weights of a file.

    Raises:
        ValueError: An argument does not fit.
        OSError: Weights cannot be fetched.
    """
    row = ALL[network]
    trained = files or row.weights
    if trained is None and names_published(network, weights):
        raise ValueError(without_weights(network, weights))
    check_weights(weights, include_top, classes, classifier_activation, network, trained is not None)
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"{network}: pooling: expected None, 'avg' or 'max', received {pooling!r}")
    static = bool(include_top) if static is None else static
    shape = input_shape_of(input_shape, network, size or row.size, row.least, weights, static, sized)
    inputs = inputs_of(input_tensor, input_shape, shape, network)
    if weights == "imagenet" and trained is not None:
        weights = _fetched(trained.top if include_top else trained.no_top)
    with contextlib.nullcontext() if weights is None else weights_follow():
        x = _features(features, inputs, row.least, network)
        if include_top:
            x = top.classify(x, classes, classifier_activation)
        else:
            x = _pooled(x, pooling, top)
    model = Model(sources_of(inputs), x, name=name)
    if weights is not None:
        load(model, weights)
    return model


def _features(features: Callable[[Any], Any], inputs: Any, least: int, network: str) -> Any:
    """The features of images. Keras takes a tensor of smaller ones than `input_shape` may say, where they do.

    Raises:
        ValueError: A window does not fit into them.
    """
    try:
        return features(inputs)
    except ValueError as error:
        extents = inputs.shape[2:] if channel_axis() == 1 else inputs.shape[1:3]
        if all(n is None or n >= least for n in extents):
            raise
        raise ValueError(
            f"{network}: input_tensor: expected height and width of at least {least}, received shape "
            f"{inputs.shape}: {error}"
        ) from error


def _pooled(x: Any, pooling: str | None, top: Top) -> Any:
    """What stands behind the features where no classifier does."""
    if pooling is not None and top.pooled is not None:
        x = top.pooled(x)
    flat = len(x.shape) == 3
    if pooling == "avg":
        pool: Any = layers.GlobalAveragePooling1D if flat else layers.GlobalAveragePooling2D
        x = pool(name=top.average)(x)
    elif pooling == "max":
        pool = layers.GlobalMaxPooling1D if flat else layers.GlobalMaxPooling2D
        x = pool(name=top.largest)(x)
    return x if top.finish is None else top.finish(x)


# The arguments that all networks have.
_SHARED = frozenset(inspect.signature(usual).parameters)


def _fetched(file: File) -> str:
    """The path of a file of weights, which is fetched unless it is in the cache."""
    return utils.get_file(file.name, file.address, cache_subdir="models", file_hash=file.checksum)


def network(top: Top) -> Callable[[Callable[..., Any]], Callable[..., Model]]:
    """`network_of` with the usual arguments."""
    return network_of(usual, lambda name: top)


def network_of(
    form: Callable[P, Any],
    top: Callable[[str], Top],
    sized: bool = False,
    load: Callable[[Model, Any], None] = Model.load_weights,
) -> Callable[[Callable[..., Any]], Callable[P, Model]]:
    """Makes the public function of a network of one from images to features.

    The decorated function has the network's name in the table, and a docstring that says what it is. It takes
    images, and by their names those arguments that it needs.

    Args:
        form: A function with the network's arguments.
        top: What stands behind the features, for the model's name.
        sized: Whether height and width must be known without the classifier, too.
        load: Gives a model the weights of a file.
    """

    def decorate(features: Callable[..., Any]) -> Callable[P, Model]:
        title = features.__name__
        signature = _signature(form, ALL[title].default_name)
        wanted = [name for name in inspect.signature(features).parameters if name in signature.parameters]

        def build(*args: Any, **kwargs: Any) -> Model:
            given = _bound(title, signature, args, kwargs)
            own = {name: given[name] for name in wanted}
            shared = {name: value for name, value in given.items() if name in _SHARED}
            made = functools.partial(features, **own)
            return assemble(title, made, top(given["name"]), sized=sized, load=load, **shared)

        build.__name__ = build.__qualname__ = title
        build.__module__ = features.__module__
        build.__doc__ = documentation(title, features.__doc__, signature.parameters, sized)
        # Type checkers know no attributes of functions.
        build.__signature__ = signature  # type: ignore[attr-defined]
        build.__annotations__ = dict(form.__annotations__)
        # Who asks whether each argument is read finds the readers.
        build.handed_on_to = (assemble, features)  # type: ignore[attr-defined]
        return build

    return decorate


def _signature(form: Callable[..., Any], name: str) -> inspect.Signature:
    """The signature of `form`, with a default for the model's name."""
    signature = inspect.signature(form)
    parameters = [p.replace(default=name) if p.name == "name" else p for p in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation="Model")


def _bound(
    title: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """All arguments by name."""
    unknown = next((name for name in kwargs if name not in signature.parameters), None)
    if unknown is not None:
        meant = suggest.did_you_mean(unknown, list(signature.parameters))
        raise TypeError(f"{title}: unexpected argument {unknown!r}{meant}")
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{title}: {error}") from None
    bound.apply_defaults()
    return dict(bound.arguments)
