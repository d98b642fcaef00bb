"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, figure 2)."""

from __future__ import annotations

from typing import Any

from cnnrs import layers
from cnnrs.applications.building import check_weights, given_shape, inputs_of, sources_of
from cnnrs.base.arguments import named
from cnnrs.models import Model, Sequential

__all__ = ["LeNet5"]


@named
def LeNet5(
    input_shape: Any = None,
    classes: int = 10,
    variant: str = "relu",
    classifier_activation: Any = "softmax",
    name: str = "lenet5",
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    pooling: Any = None,
) -> Model:
    """LeNet-5: two convolutions with pooling, three dense layers.

    Args:
        input_shape: Height, width and channels, at least 28 x 28; None for (28, 28, 1). Without the dense
            layers height and width may be None.
        classes: Number of classes.
        variant: "classic" for tanh and average pooling, as published; "relu" for ReLU and max pooling.
        classifier_activation: Activation of the last layer; None for logits.
        name: Name.
        include_top: Whether the dense layers are there; without them the model gives the last map.
        weights: Path of a file of weights; None for random ones.
        input_tensor: A symbolic tensor to build on, which has the shape; None for a new input.
        pooling: Without the dense layers "avg" or "max" for one vector an image; None for the map.

    Returns:
        A `Sequential`; on an `input_tensor`, a `Model` from its sources.

    Raises:
        ValueError: An argument does not fit.

    Both variants take the published 32 x 32 field as a 28 x 28 image with padding, and connect all maps of
    the third layer, so that they have 61,706 parameters for one channel and ten classes.

    >>> from cnnrs.applications import LeNet5
    >>> LeNet5().count_params()
    61706
    >>> LeNet5(variant="classic").output_shape
    (None, 10)
    """
    if variant not in ("classic", "relu"):
        raise ValueError(f"LeNet5: variant: expected 'classic' or 'relu', received {variant!r}")
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"LeNet5: pooling: expected None, 'avg' or 'max', received {pooling!r}")
    check_weights(weights, include_top, classes, classifier_activation, "LeNet5", published=False)
    inputs = inputs_of(input_tensor, input_shape, given_shape(input_shape, (28, 28, 1), "LeNet5"), "LeNet5")
    if any((n is None and include_top) or (n is not None and n < 28) for n in inputs.shape[1:3]):
        raise ValueError(
            "LeNet5: input_shape: expected (height, width, channels) with height and width of at least 28, "
            f"received {inputs.shape[1:]}"
        )
    activation = "tanh" if variant == "classic" else "relu"
    pool = layers.AveragePooling2D if variant == "classic" else layers.MaxPooling2D
    chain: list[Any] = [
        layers.Conv2D(6, 5, padding="same", activation=activation, name="conv1"),
        pool(2, name="pool1"),
        layers.Conv2D(16, 5, activation=activation, name="conv2"),
        pool(2, name="pool2"),
    ]
    if include_top:
        chain += [
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation=activation, name="fc1"),
            layers.Dense(84, activation=activation, name="fc2"),
            layers.Dense(classes, activation=classifier_activation, name="predictions"),
        ]
    elif pooling is not None:
        whole = layers.GlobalAveragePooling2D if pooling == "avg" else layers.GlobalMaxPooling2D
        chain.append(whole(name=f"{pooling}_pool"))
    if input_tensor is None:
        model: Model = Sequential([inputs, *chain], name=name)
    else:
        x = inputs
        for layer in chain:
            x = layer(x)
        model = Model(sources_of(inputs), x, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model
