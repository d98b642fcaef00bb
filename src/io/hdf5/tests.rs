//! Round trips, files of h5py, and what damaged or hostile files get. `tests/python/test_hdf5.py` compares with h5py.

use super::*;
use crate::io::FileError;
use proptest::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn bytes_of(bytes: impl Into<Vec<u8>>) -> Result<Group, FileError> {
    parse(Path::new("data"), Cursor::new(bytes.into()))
}

fn numbers(dtype: DType, shape: &[usize]) -> Array {
    let count = shape.iter().product::<usize>();
    let ones = |_| match dtype {
        DType::Bool => vec![1],
        _ => vec![0x3c; dtype.size()],
    };
    Array { shape: shape.to_vec(), elements: Elements::Numbers(dtype, (0..count).flat_map(ones).collect()) }
}

/// The seeds that `tests/fixtures/make_hdf5_files.py` made with h5py and Keras.
fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("entry").path()).collect();
    found.retain(|path| path.extension().is_some_and(|suffix| suffix == "h5"));
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    found.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("fixture"))).collect()
}

#[test]
fn every_dtype_shape_and_attribute_comes_back() {
    let mut group = Group::default();
    for dtype in DType::all() {
        group.arrays.push((dtype.name().to_owned(), numbers(dtype, &[2, 3])));
    }
    group.arrays.sort_by(|(a, _), (b, _)| a.cmp(b));
    let strings = ["", "é", "a\nb"].map(String::from).to_vec();
    let texts = Array { shape: vec![3, 1], elements: Elements::Strings(strings.clone()) };
    let shapes = Group {
        arrays: vec![
            ("empty".into(), numbers(DType::F32, &[0, 3])),
            ("scalar".into(), numbers(DType::I64, &[])),
            ("strings".into(), texts),
        ],
        ..Group::default()
    };
    let attributes = vec![
        ("a".into(), Attribute::Text("x".repeat(200_000))),
        ("b".into(), Attribute::Texts(strings)),
        ("c".into(), Attribute::Integer(-3)),
        ("d".into(), Attribute::Unsigned(u64::MAX)),
        ("e".into(), Attribute::Float(0.1)),
        ("f".into(), Attribute::Numbers(DType::U16, vec![1, 0, 2, 0])),
    ];
    let inner = Group { attributes, ..Group::default() };
    group.groups = vec![("attributes".into(), inner), ("shapes".into(), shapes)];
    let bytes = encode(Path::new("data"), group.clone()).expect("content");
    assert_eq!(bytes, encode(Path::new("data"), group.clone()).expect("content"), "the same bytes");
    assert_eq!(bytes_of(bytes).expect("sound"), group);
}

#[test]
fn many_objects_and_deep_groups_come_back_and_deeper_ones_are_refused() {
    let arrays = (0..3000).map(|at| (format!("{at:05}"), numbers(DType::F32, &[1]))).collect();
    let wide = Group { arrays, ..Group::default() };
    assert_eq!(bytes_of(encode(Path::new("data"), wide.clone()).expect("content")).expect("sound"), wide);
    let mut deep = Group::default();
    for _ in 0..MAX_DEPTH {
        deep = Group { groups: vec![("g".into(), deep)], ..Group::default() };
    }
    assert_eq!(bytes_of(encode(Path::new("data"), deep.clone()).expect("content")).expect("sound"), deep);
    let deeper = Group { groups: vec![("g".into(), deep)], ..Group::default() };
    let error = encode(Path::new("data"), deeper).expect_err("too deep").to_string();
    assert!(error.contains("at most 64 groups"), "{error}");
}

#[test]
fn content_that_has_no_place_leaves_the_old_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("m.h5");
    std::fs::write(&path, "old").expect("old file");
    let with = |name: &str| Group { arrays: vec![(name.into(), numbers(DType::F32, &[1]))], ..Group::default() };
    let mut twice = with("w");
    twice.arrays.extend(with("w").arrays);
    let short = Array { shape: vec![2], elements: Elements::Numbers(DType::F32, vec![0; 4]) };
    let short = Group { arrays: vec![("w".into(), short)], ..Group::default() };
    let nul = Group { attributes: vec![("a".into(), Attribute::Text("\0".into()))], ..Group::default() };
    for group in [with(""), with("a/b"), with("."), with("a\0"), twice, short, nul] {
        let error = write(&path, group.clone()).expect_err("no place");
        assert!(matches!(error, FileError::Content { .. }), "{group:?}: {error:?}");
        assert_eq!(std::fs::read(&path).expect("file"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }
}

#[test]
fn a_foreign_or_missing_file_is_an_error_that_names_it() {
    for bytes in [&b""[..], b"PK\x03\x04", &[0; 5000]] {
        let error = bytes_of(bytes).expect_err("foreign").to_string();
        assert!(error.starts_with("data: not an HDF5 file"), "{error}");
    }
    let error = read(Path::new("/nowhere/m.h5")).expect_err("missing");
    assert!(matches!(error, FileError::System { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let array = |fill| Array { shape: vec![8], elements: Elements::Numbers(DType::F32, vec![fill; 32]) };
    let inner = Group {
        attributes: vec![("names".into(), Attribute::Texts(vec!["a".into(), "b".into()]))],
        arrays: vec![("w".into(), array(1)), ("x".into(), array(2))],
        ..Group::default()
    };
    let whole = encode(Path::new("data"), Group { groups: vec![("g".into(), inner)], ..Group::default() });
    let whole = whole.expect("content");
    for end in 0..whole.len() {
        assert!(bytes_of(&whole[..end]).is_err(), "{end} of {} bytes are read", whole.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_after_the_signature_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut bytes = b"\x89HDF\r\n\x1a\n".to_vec();
        bytes.extend(tail);
        let _ = bytes_of(bytes);
    }
}

/// Numbers that depend on the seed alone.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// One to four changes: cuts, other bytes and bits, offsets into the file, ranges that are doubled.
fn mutate(bytes: &mut Vec<u8>, random: &mut Numbers) {
    if random.below(8) == 0 {
        bytes.truncate(1 + random.below(bytes.len()));
    }
    let len = bytes.len();
    for _ in 0..=random.below(4) {
        // Structure lies mostly at the front.
        let end = if random.below(2) == 0 { len } else { len.min(2048) };
        let at = random.below(end);
        match random.below(7) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = 0xff,
            3 => bytes[at] = 0,
            4 => {
                let value = (random.below(2 * len) as u64).to_le_bytes();
                let to = &mut bytes[at..len.min(at + 8)];
                to.copy_from_slice(&value[..to.len()]);
            }
            5 => {
                let value = (u64::MAX >> random.below(64)).to_le_bytes();
                let to = &mut bytes[at..len.min(at + 1 + random.below(8))];
                to.copy_from_slice(&value[..to.len()]);
            }
            _ => {
                let from = random.below(len);
                let count = (1 + random.below(64)).min(len - at).min(len - from);
                bytes.copy_within(from..from + count, at);
            }
        }
    }
}

/// What a group takes at the least.
fn size(group: &Group) -> usize {
    let arrays = group.arrays.iter().map(|(_, array)| match &array.elements {
        Elements::Numbers(_, bytes) => bytes.len(),
        Elements::Strings(strings) => strings.iter().map(String::len).sum(),
    });
    arrays.sum::<usize>() + group.groups.iter().map(|(_, inner)| size(inner)).sum::<usize>()
}

/// `CNNRS_MUTATED_FILES=1000000 cargo test --release mutated_files -- --nocapture` runs many more.
#[test]
fn mutated_files_are_read_or_refused_within_their_limits() {
    let count = std::env::var("CNNRS_MUTATED_FILES").map_or(2000, |count| count.parse().expect("a number"));
    let first = std::env::var("CNNRS_MUTATED_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let seeds = seeds();
    let mut random = Numbers(0x9e37_79b9_7f4a_7c15 ^ first);
    let (mut sound, mut longest) = (0u64, Duration::ZERO);
    for number in 0..count {
        let (path, seed) = &seeds[random.below(seeds.len())];
        let mut bytes = seed.clone();
        mutate(&mut bytes, &mut random);
        let limits = Limits::of(bytes.len() as u64);
        let begin = Instant::now();
        match bytes_of(bytes) {
            Ok(group) => {
                sound += 1;
                assert!(size(&group) as u64 <= limits.arrays, "file {number}, of {}", path.display());
                // Texts of a file may hold NUL characters, which are not written.
                if let Ok(written) = encode(Path::new("data"), group.clone()) {
                    let again = bytes_of(written).expect("what was written is read");
                    assert_eq!(format!("{again:?}"), format!("{group:?}"), "file {number}, of {}", path.display());
                }
            }
            Err(FileError::Format { .. } | FileError::Memory { .. }) => {}
            Err(other) => panic!("file {number}, of {}: {other:?}", path.display()),
        }
        longest = longest.max(begin.elapsed());
    }
    println!("{count} mutated HDF5 files: {sound} read, {} refused; the longest took {longest:?}", count - sound);
}
