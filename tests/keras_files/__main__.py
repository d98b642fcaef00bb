"""`python -m keras_files write FOLDER` with cnnrs, then `python -m keras_files read FOLDER` with Keras."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from keras_files.rounds import check, save_all


def main(arguments: list[str]) -> int:
    """Writes files with cnnrs, or reads them with Keras.

    Returns:
        How many files did not fit.
    """
    task, folder = arguments
    if task == "write":
        import cnnrs

        Path(folder).mkdir(parents=True, exist_ok=True)
        print(len(list(save_all(cnnrs, folder))), "models written")
        return 0
    import keras

    return _read(keras, folder)


def _read(keras: Any, folder: str) -> int:
    failed = done = 0
    for path in sorted(Path(folder).iterdir()):
        name = path.name
        # Keras writes ops and attention with a score into legacy files, and does not read them.
        unread = ("functional.h5", "attention.h5")
        if not name.endswith((".keras", ".h5", ".json")) or "_0" in name or name in unread:
            continue
        try:
            outcome = check(keras, folder, name)
            fits = outcome.is_equal()
            verdict = "ok  " if fits else "FAIL"
            print(f"{verdict} {name:32} outputs {outcome.outputs:.1e} losses {outcome.losses:.1e}")
            if outcome.weights:
                print("     weights differ:", *outcome.weights)
        except Exception as error:
            fits = False
            print(f"FAIL {name:32} {type(error).__name__}: {error}"[:2000])
            if "-v" in sys.argv:
                traceback.print_exc()
        done, failed = done + 1, failed + (not fits)
    print(f"Keras {keras.__version__} ({keras.config.backend()}): {done - failed} of {done} files")
    return failed


if __name__ == "__main__":
    sys.exit(main([argument for argument in sys.argv[1:] if argument != "-v"]))
