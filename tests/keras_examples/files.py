"""Stand-ins for the files that scripts expect in their folder: a few of the same names and formats."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FETCHED", "prepare", "some_file"]

RNG = np.random.default_rng(0)


def picture(
    path: str | Path, size: tuple[int, int] = (240, 180), mode: str = "RGB", classes: int = 0
) -> None:
    """Writes a picture of smooth noise, or of class numbers from 1 on."""
    from PIL import Image

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if classes:
        values = RNG.integers(1, classes + 1, (size[1] // 20 + 1, size[0] // 20 + 1), dtype=np.uint8)
        image = Image.fromarray(values).resize(size, Image.Resampling.NEAREST)
    else:
        values = RNG.integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), dtype=np.uint8)
        image = Image.fromarray(values).resize(size).convert(mode)
    image.save(path)


def pictures(folder: str, count: int, suffix: str = ".jpg", **options: Any) -> None:
    for number in range(count):
        picture(f"{folder}/{number:04d}{suffix}", **options)


def archive(path: str, *folders: str) -> None:
    """Packs folders, by the suffix of the archive."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if path.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as packed:
            for folder in folders:
                for file in sorted(Path(folder).rglob("*")):
                    packed.write(file)
    else:
        with tarfile.open(path, "w:gz" if path.endswith("gz") else "w") as tar:
            for folder in folders:
                tar.add(folder)


def _scans() -> None:
    import nibabel

    for folder in ("CT-0", "CT-23"):
        Path(folder).mkdir()
        for number in range(74):
            scan = RNG.integers(-1000, 400, (16, 16, 8)).astype(np.float32)
            nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), f"{folder}/{number}.nii.gz")
        archive(f"{folder}.zip", folder)


def _captchas() -> None:
    letters = np.array(list("2345678bcdefgmnpwxy"))
    for _ in range(80):
        picture(f"captcha_images_v2/{''.join(RNG.choice(letters, 5))}.png", (200, 50))


def _people() -> None:
    from scipy.io import savemat

    base = "instance-level_human_parsing/instance-level_human_parsing"
    pictures(f"{base}/Training/Images", 12)
    pictures(f"{base}/Training/Category_ids", 12, ".png", classes=19)
    savemat(f"{base}/human_colormap.mat", {"colormap": RNG.random((20, 3))})


def _rooms() -> None:
    for number in range(330):
        name = f"val/indoors/scene/{number:04d}"
        picture(f"{name}.png", (64, 48))
        np.save(f"{name}_depth.npy", RNG.random((48, 64, 1)).astype(np.float32) * 10 + 1)
        np.save(f"{name}_depth_mask.npy", np.ones((48, 64), np.float32))


def _words() -> None:
    lines = []
    for number in range(400):
        name = f"a01-000u-00-{number:03d}"
        picture(f"data/words/a01/a01-000u/{name}.png", (100, 32), "L")
        lines.append(f"{name} ok 154 1 408 768 27 51 AT {''.join(RNG.choice(list('abcdefg'), 4))}\n")
    Path("data/words.txt").write_text("# words\n" + "".join(lines))


def _captions() -> None:
    lines = []
    for number in range(20):
        picture(f"Flicker8k_Dataset/{number}.jpg")
        for caption in range(5):
            lines.append(f"{number}.jpg#{caption}\ta dog runs over the green field number {caption} .\n")
    Path("Flickr8k.token.txt").write_text("".join(lines))


def _pets() -> None:
    for kind in ("Cat", "Dog"):
        pictures(f"PetImages/{kind}", 40)
        picture(f"PetImages/{kind}/6779.jpg")


def _dogs() -> None:
    Path("StanfordExtra_V12").mkdir()
    entries = []
    for number in range(60):
        picture(f"Images/{number}.jpg")
        joints = [[float(x), float(y), 1.0] for x, y in RNG.integers(10, 150, (24, 2))]
        joints[:2] = [[0.0, 0.0, 1.0], [240.0, 180.0, 1.0]]
        entries.append(
            {
                "img_path": f"{number}.jpg",
                "img_width": 240,
                "img_height": 180,
                "joints": joints,
                "is_multiple_dogs": False,
            }
        )
    Path("StanfordExtra_V12/StanfordExtra_v12.json").write_text(json.dumps(entries))
    rows = "".join(f"name{i},{'%06x' % (i * 99999)}\n" for i in range(24))
    Path("keypoint_definitions.csv").write_text("Name,Hex colour\n" + rows)


def _dark() -> None:
    for folder in ("our485/low", "our485/high", "eval15/low", "eval15/high"):
        pictures(f"lol_dataset/{folder}", 20, ".png", size=(96, 80))


def _planes() -> None:
    from scipy.io import savemat

    pictures("101_ObjectCategories/airplanes", 20)
    Path("Annotations/Airplanes_Side_2").mkdir(parents=True)
    for number in range(20):
        box = np.array([[20, 120, 30, 160]], np.uint16)
        savemat(f"Annotations/Airplanes_Side_2/annotation_{number:04d}.mat", {"box_coord": box})
    archive("fetched/caltech-101/101_ObjectCategories.tar.gz", "101_ObjectCategories")
    archive("fetched/caltech-101/Annotations.tar", "Annotations")
    Path("fetched/caltech_101_zipped").write_bytes(b"")


def _trimaps() -> None:
    for number in range(30):
        picture(f"images/{number:03d}.jpg", (160, 160))
        picture(f"annotations/trimaps/{number:03d}.png", (160, 160), classes=3)


def _shapes() -> None:
    import trimesh

    for kind in (
        "bathtub",
        "bed",
        "chair",
        "desk",
        "dresser",
        "monitor",
        "night_stand",
        "sofa",
        "table",
        "toilet",
    ):
        for part, count in (("train", 4), ("test", 2)):
            folder = Path("ModelNet10", kind, part)
            folder.mkdir(parents=True)
            for number in range(1, count + 1):
                trimesh.creation.box(RNG.random(3) + 0.5).export(folder / f"{kind}_{number:04d}.off")
    Path("modelnet.zip").write_bytes(b"")


def _parts() -> None:
    base = Path(".keras/datasets/PartAnnotation")
    parts = ["wing", "body", "tail", "engine"]
    metadata = {
        "Airplane": {"directory": "02691156", "lables": parts, "colors": ["blue", "green", "red", "pink"]}
    }
    for part in parts:
        (base / "02691156/points_label" / part).mkdir(parents=True)
    (base / "02691156/points").mkdir()
    (base / "metadata.json").write_text(json.dumps(metadata))
    np.savetxt("cloud.pts", RNG.random((1100, 3)))
    of = RNG.integers(0, 4, 1100)
    for index, part in enumerate(parts):
        np.savetxt(f"{part}.seg", of == index, fmt="%d")
    for number in range(310):
        shutil.copy("cloud.pts", base / f"02691156/points/{number}.pts")
        for part in parts:
            shutil.copy(f"{part}.seg", base / f"02691156/points_label/{part}/{number}.seg")


def _views() -> None:
    poses = np.tile(np.eye(4, dtype=np.float32), (40, 1, 1))
    images = RNG.random((40, 20, 20, 3)).astype(np.float32)
    np.savez("tiny_nerf_data.npz", images=images, poses=poses, focal=np.float32(30.0))


def _pairs() -> None:
    for side in ("left", "right"):
        pictures(str(Path.home() / ".keras" / side), 40)


def _textures() -> None:
    for part in ("train", "val", "test"):
        pictures(f"BSR/BSDS500/data/images/{part}", 12, size=(480, 320))


def _videos() -> None:
    import cv2

    names = {"train": [], "test": []}
    for part, count in (("train", 12), ("test", 6)):
        Path(part).mkdir()
        for number in range(count):
            name = f"v_{number}.avi"
            writer = cv2.VideoWriter(f"{part}/{name}", cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
            for _ in range(24):
                writer.write(RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8))
            writer.release()
            names[part].append(f"{number},{name},{['CricketShot', 'Punch', 'TennisSwing'][number % 3]}\n")
        Path(f"{part}.csv").write_text(",video_name,tag\n" + "".join(names[part]))
        np.save(f"{part}_data.npy", RNG.random((count, 20, 1024)).astype(np.float32))
        np.save(f"{part}_labels.npy", np.arange(count) % 3)


def _organs() -> None:
    arrays = {}
    for part, count in (("train", 40), ("val", 10), ("test", 40)):
        arrays[f"{part}_images"] = RNG.integers(0, 256, (count, 28, 28, 28), dtype=np.uint8)
        arrays[f"{part}_labels"] = RNG.integers(0, 11, (count, 1), dtype=np.uint8)
    np.savez("organmnist3d.npz", **arrays)


def _jpeg(size: tuple[int, int]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(content, "JPEG")
    return content.getvalue()


def _xrays() -> None:
    import tensorflow as tf

    for part, count in (("train", 4260), ("test", 40)):
        folder = Path("download.tensorflow.org/data/ChestXRay2017", part)
        folder.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / "images.tfrec")) as images:
            for _ in range(count):
                images.write(_jpeg((40, 36)))
        with tf.io.TFRecordWriter(str(folder / "paths.tfrec")) as paths:
            for number in range(count):
                paths.write(f"{part}/{['NORMAL', 'PNEUMONIA'][number % 2]}/{number}.jpeg".encode())


def _moles() -> None:
    import tensorflow as tf

    Path("tfrecords").mkdir()
    for name in (*(f"train{i:02d}" for i in range(10)), "test00"):
        with tf.io.TFRecordWriter(f"tfrecords/{name}.tfrec") as writer:
            for number in range(30):
                image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[_jpeg((128, 128))]))
                target = tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2]))
                features = tf.train.Features(feature={"image": image, "target": target})
                writer.write(tf.train.Example(features=features).SerializeToString())


def _coco() -> None:
    Path("datasets/annotations").mkdir(parents=True)
    entries = []
    for number in range(64):
        picture(f"datasets/val2017/{number:012d}.jpg")
    for number in range(4096):
        box = [10.0, 20.0, 30.0, 40.0]
        entries.append({"area": 1200.0, "bbox": box, "category_id": 3, "id": number, "image_id": number % 64})
    Path("datasets/annotations/instances_val2017.json").write_text(json.dumps({"annotations": entries}))


def _ratings() -> None:
    Path("ml-1m").mkdir()
    rows = (f"{u}::{m}::{r}::978300760\n" for u, m, r in RNG.integers(1, 6, (2000, 3)) * [97, 31, 1])
    Path("ml-1m/ratings.dat").write_text("".join(rows))
    archive("movielens.zip", "ml-1m")


def _detections() -> None:
    Path("data").mkdir()
    archive("data.zip", "data")


def _art() -> None:
    pictures("artwork/resized", 40)


def _faces() -> None:
    pictures("celeba_gan/img_align_celeba", 40, size=(64, 64))


# What is made for each script before it starts.
_MADE: dict[str, Callable[[], None]] = {
    "3D_image_classification": _scans,
    "adain": _art,
    "captcha_ocr": _captchas,
    "creating_tfrecords": _coco,
    "dcgan_overriding_train_step": _faces,
    "deeplabv3_plus": _people,
    "depth_estimation": _rooms,
    "handwriting_recognition": _words,
    "image_captioning": _captions,
    "image_classification_from_scratch": _pets,
    "keypoint_detection": _dogs,
    "memory_efficient_embeddings": _ratings,
    "mirnet": _dark,
    "nerf": _views,
    "object_detection_using_vision_transformer": _planes,
    "oxford_pets_image_segmentation": _trimaps,
    "pointnet": _shapes,
    "pointnet_segmentation": _parts,
    "retinanet": _detections,
    "siamese_network": _pairs,
    "super_resolution_sub_pixel": _textures,
    "tfrecord": _moles,
    "video_classification": _videos,
    "video_transformers": _videos,
    "vivit": _organs,
    "xray_classification_with_tpus": _xrays,
    "zero_dce": _dark,
}

# What `get_file` gives for what scripts ask it for, where the suffix does not tell.
FETCHED = {
    "data.zip": "data.zip",
    "BSR": "BSR",
    "caltech_101_zipped": "fetched/caltech_101_zipped",
    "modelnet.zip": "modelnet.zip",
    "shapenet.zip": ".keras/datasets/PartAnnotation",
    "tiny_nerf_data.npz": "tiny_nerf_data.npz",
    "organmnist3d.npz": "organmnist3d.npz",
    "val.tar.gz": "val",
}


def prepare(script: str) -> None:
    """Makes the files of a script in the working folder."""
    if script in _MADE:
        _MADE[script]()


def some_file(name: str) -> str:
    """The path of a file that a script fetches, which is made if it is not there."""
    base = Path(name).name
    path = Path(FETCHED.get(base, name if Path(name).is_absolute() else base)).absolute()
    if path.exists():
        return str(path)
    if path.suffix in (".jpg", ".jpeg", ".png", "") and base not in FETCHED:
        picture(path.with_suffix(path.suffix or ".jpg"))
        return str(path.with_suffix(path.suffix or ".jpg"))
    if base == "moving_mnist.npy":
        np.save(path, RNG.integers(0, 256, (20, 40, 32, 32), dtype=np.uint8))
    elif path.suffix in (".txt", ".json"):
        path.write_text("\n".join(f"thing {i}" for i in range(1000)))
    else:
        raise FileNotFoundError(f"no stand-in for the file {name!r}")
    return str(path)
