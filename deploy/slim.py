"""Removes what a service never loads from the packages of this environment, and checks that it still answers.

/opt/sem/bin/python slim.py

The build of the container runs it. The check reads a file of each kind, judges it, and compares it with a reference.
"""

import importlib.util
import io
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

UNUSED = {
    ".": ("tests", "conftest.py", "*.pyi"),  # in every folder
    "onnxruntime": (
        "capi/libonnxruntime.so*",  # for programs in C; Python's module holds it, too
        "backend",
        "datasets",
        "quantization",
        "tools",
        "transformers",
    ),
    "openvino": (
        "libs/libopenvino_intel_gpu_plugin.so",
        "libs/libopenvino_intel_npu_plugin.so",
        "libs/cache.json",  # of the GPU
        "libs/libopenvino_paddle_frontend.so*",
        "libs/libopenvino_pytorch_frontend.so*",
        "libs/libopenvino_tensorflow_lite_frontend.so*",
        "libs/libopenvino_gguf_frontend.so*",
    ),
    "scipy": ("*",),
    "PIL": ("_avif*.so", "_imagingft*.so"),
    "pillow.libs": ("libavif*", "libharfbuzz*", "libfreetype*"),
    "imagecodecs": ("_*.so",),
    "imagecodecs.libs": ("*",),
}
KEPT = {  # beginnings of names
    "scipy": ("_", "fft", "special", "version"),  # fft, and what it imports
    # codecs of LZW, PackBits, Deflate and JPEG
    "imagecodecs": ("_shared", "_imcd", "_deflate", "_zlib", "_jpeg8"),
    "imagecodecs.libs": ("libdeflate", "libjpeg"),
}


def remove(site: Path) -> None:
    """Delete what is unused below a folder of packages."""
    for package, patterns in UNUSED.items():
        for pattern in patterns:
            found = site.rglob(pattern) if package == "." else (site / package).glob(pattern)
            for path in list(found):
                if path.name.startswith(KEPT.get(package, "\0")):
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


def check() -> None:
    """Read, judge and compare."""
    import cv2
    import numpy as np
    import tifffile

    from sem_lightning.inference.predictor import load
    from sem_lightning.inspection.inspector import Inspector
    from sem_lightning.io.gray_image import decode_image

    picture = np.kron(np.eye(8, dtype=np.uint8) * 120 + 60, np.ones((16, 16), np.uint8))
    files = [cv2.imencode(f".{kind}", picture)[1].tobytes() for kind in ("png", "jpg", "bmp")]
    for compression in (None, "lzw", "deflate", "packbits", "jpeg"):
        stream = io.BytesIO()
        tifffile.imwrite(stream, picture, compression=compression)
        files.append(stream.getvalue())
    images = [decode_image(data) for data in files]
    assert all(np.abs(image.pixels * 255 - picture).max() < 9 for image in images)
    assert len(list(load("robust").stream(images))) == len(files)
    Inspector().inspect(images[0], [decode_image(files[1])])


def megabytes(site: Path) -> float:
    """Size of all files."""
    return sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    if importlib.util.find_spec("torch") is not None:
        sys.exit("error: torch is installed, so this is no environment of a service alone; nothing was removed")
    folder = Path(sysconfig.get_paths()["purelib"])
    before = megabytes(folder)
    remove(folder)
    subprocess.run([sys.executable, "-c", "import slim; slim.check()"], cwd=Path(__file__).parent, check=True)
    print(f"{folder}: {before:.0f} MB, without what a service never loads {megabytes(folder):.0f} MB")
