"""Files from the net: fetched once, checked, kept, unpacked with care. `utils.get_file` is public."""

from cnnrs.fetching.archives import extract_archive
from cnnrs.fetching.get_file import get_file
from cnnrs.fetching.hashes import hash_file, validate_file
from cnnrs.fetching.home import home, keras_home

__all__ = ["extract_archive", "get_file", "hash_file", "home", "keras_home", "validate_file"]
