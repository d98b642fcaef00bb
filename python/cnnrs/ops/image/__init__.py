"""Functions of images, with the names of `keras.ops.image`: patches, borders, sizes, warps, filters, colours.

The classic filters stand here, beside Keras's `gaussian_blur` and `sobel_edges`.

Each takes a batch of images or one image, in either data format. What it computes is one graph for all images
of the batch, and its gradient flows to the images and, where they are tensors, to coordinates and
transformations.
"""

from cnnrs.ops.image.borders import crop_images, pad_images
from cnnrs.ops.image.colors import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from cnnrs.ops.image.edges import (
    difference_of_gaussians,
    laplacian,
    laplacian_of_gaussian,
    prewitt,
    scharr,
    sobel,
)
from cnnrs.ops.image.filters import gaussian_blur, sobel_edges, ssim, unsharp_mask
from cnnrs.ops.image.gabor_bank import gabor, gabor_kernels
from cnnrs.ops.image.patches import extract_patches, extract_patches_3d, reconstruct_patches
from cnnrs.ops.image.sizes import resize, scale_and_translate
from cnnrs.ops.image.warps import affine_transform, elastic_transform, map_coordinates, perspective_transform

__all__ = [
    "affine_transform",
    "crop_images",
    "difference_of_gaussians",
    "elastic_transform",
    "extract_patches",
    "extract_patches_3d",
    "gabor",
    "gabor_kernels",
    "gaussian_blur",
    "hsv_to_rgb",
    "laplacian",
    "laplacian_of_gaussian",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "prewitt",
    "reconstruct_patches",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "scharr",
    "sobel",
    "sobel_edges",
    "ssim",
    "unsharp_mask",
]
