//! Element types of tensors: one table, a row a type, which conversion, promotion, files and printing read.

use crate::error::{Error, Result};
use half::{bf16, f16};
use safetensors::Dtype;

/// Element type. `f64` exists only in references, never in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// Two's complement, 32 bits.
    I32,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, 0 or 1.
    Bool,
    /// IEEE 754 half precision; held in memory, computed with as `F32`.
    F16,
    /// The upper half of an `F32`; held in memory, computed with as `F32`.
    BF16,
}

/// What elements of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    Floats,
    Integers,
    Booleans,
}

/// What is known of a type.
struct Row {
    dtype: DType,
    /// The name that numpy and Keras use.
    name: &'static str,
    /// Bytes per element.
    size: usize,
    numbers: Numbers,
    /// The type in which ops compute with it.
    computed: DType,
    /// Place in the order of promotion. Two types of one rank meet in the next.
    rank: u8,
    /// numpy's type of the same size that is read and written in its place.
    array: &'static str,
    /// Its name in safetensors files.
    file: Dtype,
}

/// One row a type, in the order of the enum.
#[rustfmt::skip]
const TABLE: [Row; 6] = {
    use DType::{BF16, Bool, F16, F32, I32, U8};
    use Numbers::{Booleans, Floats, Integers};
    [
        Row { dtype: F32, name: "float32", size: 4, numbers: Floats, computed: F32, rank: 4, array: "float32", file: Dtype::F32 },
        Row { dtype: I32, name: "int32", size: 4, numbers: Integers, computed: I32, rank: 2, array: "int32", file: Dtype::I32 },
        Row { dtype: U8, name: "uint8", size: 1, numbers: Integers, computed: U8, rank: 1, array: "uint8", file: Dtype::U8 },
        Row { dtype: Bool, name: "bool", size: 1, numbers: Booleans, computed: Bool, rank: 0, array: "uint8", file: Dtype::BOOL },
        Row { dtype: F16, name: "float16", size: 2, numbers: Floats, computed: F32, rank: 3, array: "uint16", file: Dtype::F16 },
        Row { dtype: BF16, name: "bfloat16", size: 2, numbers: Floats, computed: F32, rank: 3, array: "uint16", file: Dtype::BF16 },
    ]
};

/// Types of other libraries that no tensor holds, each with the one to use instead.
const NOT_HELD: [(&str, DType); 7] = [
    ("float64", DType::F32),
    ("int8", DType::I32),
    ("int16", DType::I32),
    ("int64", DType::I32),
    ("uint16", DType::I32),
    ("uint32", DType::I32),
    ("uint64", DType::I32),
];

/// The bits of one element, by size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Of 1 byte.
    One(u8),
    /// Of 2 bytes.
    Two(u16),
    /// Of 4 bytes.
    Four(u32),
}

impl DType {
    /// All types.
    pub fn all() -> impl Iterator<Item = DType> {
        TABLE.iter().map(|row| row.dtype)
    }

    const fn row(self) -> &'static Row {
        const ROWS: &[Row; 6] = &TABLE;
        &ROWS[self as usize]
    }

    /// Bytes per element.
    pub const fn size(self) -> usize {
        self.row().size
    }

    /// The name that numpy and Keras use.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// numpy's type of the same size that is read and written in its place: numpy itself has no bfloat16.
    pub const fn array_name(self) -> &'static str {
        self.row().array
    }

    /// Its name in safetensors files.
    pub const fn file_dtype(self) -> Dtype {
        self.row().file
    }

    /// The type of this name in safetensors files, if tensors hold it.
    pub fn from_file(file: Dtype) -> Option<Self> {
        TABLE.iter().find(|row| row.file == file).map(|row| row.dtype)
    }

    /// The names of all types in safetensors files, for messages.
    pub fn file_names() -> String {
        listed(TABLE.iter().map(|row| row.file.to_string()))
    }

    /// The names of all types, for messages.
    pub fn names() -> String {
        listed(TABLE.iter().map(|row| row.name.to_owned()))
    }

    /// Parses a numpy name.
    ///
    /// # Errors
    /// `Type` when no tensor holds such elements; says what to use instead.
    pub fn parse(name: &str) -> Result<Self> {
        if let Some(row) = TABLE.iter().find(|row| row.name == name) {
            return Ok(row.dtype);
        }
        Err(Error::dtype(match NOT_HELD.iter().find(|known| known.0 == name) {
            Some((_, instead)) => format!("dtype: tensors hold no {name}; use \"{instead}\""),
            None => format!("dtype: expected one of {}, received \"{name}\"", Self::names()),
        }))
    }

    /// True for `F32`, `F16` and `BF16`.
    pub const fn is_float(self) -> bool {
        matches!(self.row().numbers, Numbers::Floats)
    }

    /// The type in which ops compute with it: `F32` for `F16` and `BF16`, which are storage, and itself for all others.
    pub const fn computed(self) -> DType {
        self.row().computed
    }

    /// Whether it is held in memory only, and computed with as another type.
    pub fn is_storage(self) -> bool {
        self.computed() != self
    }

    /// The type of what two types make together: bool < uint8 < int32 < float16, bfloat16 < float32.
    ///
    /// ```
    /// use cnnrs::DType;
    /// assert_eq!(DType::I32.promote(DType::F16), DType::F16);
    /// assert_eq!(DType::F16.promote(DType::BF16), DType::F32);
    /// ```
    #[must_use]
    pub fn promote(self, other: DType) -> DType {
        let (a, b) = (self.row().rank, other.row().rank);
        match a.cmp(&b) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal if self == other => self,
            std::cmp::Ordering::Equal => TABLE.iter().find(|row| row.rank == a + 1).map_or(self, |row| row.dtype),
        }
    }

    /// Whether this type has every value of `other`.
    pub fn holds(self, other: DType) -> bool {
        match other {
            DType::Bool => true,
            DType::U8 => self != DType::Bool,
            DType::F16 | DType::BF16 => self == other || self == DType::F32,
            DType::F32 | DType::I32 => self == other,
        }
    }

    /// What a value becomes when stored in this type: rounded to the nearest float, truncated and held within the range
    /// of i32, wrapped to that of u8, or 0/1. NaN becomes the least i32, as in numpy: a label of NaN is outside all
    /// classes.
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::F32 => f64::from(value as f32),
            DType::I32 if value.is_nan() => f64::from(i32::MIN),
            DType::I32 => f64::from(value as i32),
            DType::U8 => f64::from(value as i64 as u8),
            DType::Bool => f64::from(u8::from(value != 0.0)),
            DType::F16 => f16::from_f64(value).to_f64(),
            DType::BF16 => bf16::from_f64(value).to_f64(),
        }
    }

    /// The bits of an element of this value, which [`DType::round`] leaves as it is.
    pub fn word(self, value: f64) -> Word {
        match self {
            DType::F32 => Word::Four((value as f32).to_bits()),
            DType::I32 => Word::Four(value as i32 as u32),
            DType::U8 | DType::Bool => Word::One(value as u8),
            DType::F16 => Word::Two(f16::from_f64(value).to_bits()),
            DType::BF16 => Word::Two(bf16::from_f64(value).to_bits()),
        }
    }
}

/// "a, b and c".
fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let last = names.pop().unwrap_or_default();
    format!("{} and {last}", names.join(", "))
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_enum() {
        for (place, dtype) in DType::all().enumerate() {
            assert_eq!(dtype as usize, place);
            assert_eq!(DType::parse(dtype.name()).unwrap(), dtype);
            assert_eq!(DType::from_file(dtype.file_dtype()), Some(dtype));
            assert_eq!(dtype.computed().computed(), dtype.computed());
        }
    }

    #[test]
    fn promotion_has_one_result_whatever_the_order() {
        for a in DType::all() {
            assert_eq!(a.promote(a), a);
            for b in DType::all() {
                assert_eq!(a.promote(b), b.promote(a));
                for c in DType::all() {
                    assert_eq!(a.promote(b).promote(c), a.promote(b.promote(c)), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn types_that_no_tensor_holds_are_refused_with_what_to_use() {
        for (name, instead) in NOT_HELD {
            let message = DType::parse(name).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains(instead.name()), "{message}");
        }
        assert!(DType::parse("complex64").unwrap_err().to_string().contains("bfloat16"));
    }

    #[test]
    fn halves_round_to_the_nearest_even() {
        assert_eq!(DType::F16.round(2049.0), 2048.0);
        assert_eq!(DType::F16.round(2051.0), 2052.0);
        assert_eq!(DType::F16.round(65520.0), f64::INFINITY);
        assert_eq!(DType::BF16.round(257.0), 256.0);
        assert_eq!(DType::F16.word(1.0), Word::Two(0x3c00));
        assert_eq!(DType::BF16.word(1.0), Word::Two(0x3f80));
    }
}
