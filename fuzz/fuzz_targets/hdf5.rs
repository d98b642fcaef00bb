//! The reader of HDF5 files on any bytes: it gives an error or a file that, written and read again, is the same.

#![no_main]

use cnnrs::io::hdf5::{encode, parse};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("data");
    let Ok(first) = parse(path, Cursor::new(bytes.to_vec())) else { return };
    // Texts of the file may hold NUL characters, and names be too long; neither is written.
    let Ok(written) = encode(path, first.clone()) else { return };
    let second = parse(path, Cursor::new(written));
    // Floats that are no numbers are not equal to themselves; their texts are.
    assert_eq!(format!("{first:?}"), format!("{:?}", second.expect("what was written is read")));
});
