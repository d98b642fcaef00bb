//! Element types of tensors: one table, a row a type, which conversion, promotion, files and printing read.

use crate::error::{Error, Result};
use half::{bf16, f16};
use safetensors::Dtype;

/// Element type.
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
    /// IEEE 754 double precision.
    F64,
    /// Two's complement, 8 bits.
    I8,
    /// Two's complement, 16 bits.
    I16,
    /// Two's complement, 64 bits.
    I64,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
}

/// What elements of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    Floats,
    Integers,
    Booleans,
}

/// Who computes with a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Computed {
    /// The kernels, in lanes of 32 bits.
    Lanes,
    /// Those, as `F32`: the type is storage.
    AsF32,
    /// The plain kernels, element by element, in f64 or i128.
    Plain,
}

/// What is known of a type.
struct Row {
    dtype: DType,
    /// The name that numpy and Keras use.
    name: &'static str,
    /// Bytes per element.
    size: usize,
    numbers: Numbers,
    /// Who computes with it.
    computed: Computed,
    /// The next types in the order of promotion, which is Keras's and JAX's. Where no least type is above two, they meet
    /// in `F32`.
    above: &'static [DType],
    /// numpy's type of the same size that is read and written in its place.
    array: &'static str,
    /// Its name in safetensors files.
    file: Dtype,
}

/// One row a type, in the order of the enum.
#[rustfmt::skip]
const TABLE: [Row; 13] = {
    use Computed::{AsF32, Lanes, Plain};
    use DType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    use Numbers::{Booleans, Floats, Integers};
    [
        Row { dtype: F32, name: "float32", size: 4, numbers: Floats, computed: Lanes, above: &[F64], array: "float32", file: Dtype::F32 },
        Row { dtype: I32, name: "int32", size: 4, numbers: Integers, computed: Lanes, above: &[I64], array: "int32", file: Dtype::I32 },
        Row { dtype: U8, name: "uint8", size: 1, numbers: Integers, computed: Lanes, above: &[I16, U16], array: "uint8", file: Dtype::U8 },
        Row { dtype: Bool, name: "bool", size: 1, numbers: Booleans, computed: Lanes, above: &[U8, I8], array: "uint8", file: Dtype::BOOL },
        Row { dtype: F16, name: "float16", size: 2, numbers: Floats, computed: AsF32, above: &[F32], array: "uint16", file: Dtype::F16 },
        Row { dtype: BF16, name: "bfloat16", size: 2, numbers: Floats, computed: AsF32, above: &[F32], array: "uint16", file: Dtype::BF16 },
        Row { dtype: F64, name: "float64", size: 8, numbers: Floats, computed: Plain, above: &[], array: "float64", file: Dtype::F64 },
        Row { dtype: I8, name: "int8", size: 1, numbers: Integers, computed: Plain, above: &[I16], array: "int8", file: Dtype::I8 },
        Row { dtype: I16, name: "int16", size: 2, numbers: Integers, computed: Plain, above: &[I32], array: "int16", file: Dtype::I16 },
        Row { dtype: I64, name: "int64", size: 8, numbers: Integers, computed: Plain, above: &[F16, BF16], array: "int64", file: Dtype::I64 },
        Row { dtype: U16, name: "uint16", size: 2, numbers: Integers, computed: Plain, above: &[I32, U32], array: "uint16", file: Dtype::U16 },
        Row { dtype: U32, name: "uint32", size: 4, numbers: Integers, computed: Plain, above: &[I64, U64], array: "uint32", file: Dtype::U32 },
        Row { dtype: U64, name: "uint64", size: 8, numbers: Integers, computed: Plain, above: &[F16, BF16], array: "uint64", file: Dtype::U64 },
    ]
};

/// The bits of one element, by size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Of 1 byte.
    One(u8),
    /// Of 2 bytes.
    Two(u16),
    /// Of 4 bytes.
    Four(u32),
    /// Of 8 bytes.
    Eight(u64),
}

impl DType {
    /// All types.
    pub fn all() -> impl Iterator<Item = DType> {
        TABLE.iter().map(|row| row.dtype)
    }

    const fn row(self) -> &'static Row {
        const ROWS: &[Row; 13] = &TABLE;
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
    /// `Type` when no tensor holds such elements; names those that tensors hold.
    pub fn parse(name: &str) -> Result<Self> {
        match TABLE.iter().find(|row| row.name == name) {
            Some(row) => Ok(row.dtype),
            None => Err(Error::dtype(format!("dtype: expected one of {}, received \"{name}\"", Self::names()))),
        }
    }

    /// True for `F32`, `F64`, `F16` and `BF16`.
    pub const fn is_float(self) -> bool {
        matches!(self.row().numbers, Numbers::Floats)
    }

    /// True for integers of any size, with and without a sign.
    pub const fn is_integer(self) -> bool {
        matches!(self.row().numbers, Numbers::Integers)
    }

    /// The type in which ops compute with it: `F32` for `F16` and `BF16`, which are storage, and itself for all others.
    pub const fn computed(self) -> DType {
        match self.row().computed {
            Computed::AsF32 => DType::F32,
            Computed::Lanes | Computed::Plain => self,
        }
    }

    /// Whether it is held in memory only, and computed with as another type.
    pub const fn is_storage(self) -> bool {
        matches!(self.row().computed, Computed::AsF32)
    }

    /// Whether it is computed with element by element, in f64 or i128; all others are computed in lanes of 32 bits.
    pub const fn is_plain(self) -> bool {
        matches!(self.row().computed, Computed::Plain)
    }

    /// The float in which functions of floats compute with it: `F64` for itself, `F32` for all others.
    pub const fn float(self) -> DType {
        match self {
            DType::F64 => DType::F64,
            _ => DType::F32,
        }
    }

    /// This type and all above it in the order of promotion, a bit each.
    fn bounds(self) -> u16 {
        self.row().above.iter().fold(1 << self as u16, |all, above| all | above.bounds())
    }

    /// The type of what two types make together: Keras's order of promotion, which is JAX's. What has 32 bits at most makes
    /// nothing of 64.
    ///
    /// ```
    /// use cnnrs::DType;
    /// assert_eq!(DType::I32.promote(DType::F16), DType::F16);
    /// assert_eq!(DType::F16.promote(DType::BF16), DType::F32);
    /// assert_eq!(DType::I8.promote(DType::U16), DType::I32);
    /// assert_eq!(DType::I64.promote(DType::F32), DType::F32);
    /// ```
    #[must_use]
    pub fn promote(self, other: DType) -> DType {
        let common = self.bounds() & other.bounds();
        let least = TABLE.iter().map(|row| row.dtype).find(|dtype| dtype.bounds() == common);
        match least.unwrap_or(DType::F32) {
            DType::I64 if self.size().max(other.size()) < 8 => DType::I32,
            least => least,
        }
    }

    /// The least and the greatest integer of an integer type; of booleans 0 and 1, of floats none.
    pub fn range(self) -> Option<(i128, i128)> {
        let bits = 8 * self.size() as u32;
        match (self.row().numbers, self.name().starts_with('u')) {
            (Numbers::Floats, _) => None,
            (Numbers::Booleans, _) => Some((0, 1)),
            (Numbers::Integers, true) => Some((0, (1 << bits) - 1)),
            (Numbers::Integers, false) => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        }
    }

    /// Whether this type has every value of `other`.
    pub fn holds(self, other: DType) -> bool {
        // Bits of the significand.
        let exact = |float| match float {
            DType::F64 => 53,
            DType::F32 => 24,
            DType::F16 => 11,
            _ => 8,
        };
        match (self.range(), other.range()) {
            (Some((least, greatest)), Some((from, to))) => least <= from && to <= greatest,
            (None, Some((from, to))) => {
                let bound = 1i128 << exact(self);
                -bound <= from && to <= bound
            }
            (Some(_), None) => false,
            (None, None) => self == other || exact(self) >= 24 && exact(self) > exact(other),
        }
    }

    /// An integer as this type holds it: wrapped to its range, or 0/1, or rounded.
    pub fn wrap(self, value: i128) -> i128 {
        match self {
            DType::Bool => i128::from(value != 0),
            DType::U8 => i128::from(value as u8),
            DType::U16 => i128::from(value as u16),
            DType::U32 => i128::from(value as u32),
            DType::U64 => i128::from(value as u64),
            DType::I8 => i128::from(value as i8),
            DType::I16 => i128::from(value as i16),
            DType::I32 => i128::from(value as i32),
            DType::I64 => i128::from(value as i64),
            DType::F32 | DType::F64 | DType::F16 | DType::BF16 => value,
        }
    }

    /// What a value becomes when stored in this type: rounded to the nearest float, or truncated and then held within the
    /// range of integers of 32 bits and more, wrapped to that of smaller ones, or 0/1. NaN becomes the least integer of
    /// these, as in numpy: a label of NaN is outside all classes.
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::F64 => value,
            DType::F32 => f64::from(value as f32),
            DType::F16 => nearest_f16(value).to_f64(),
            DType::BF16 => nearest_bf16(value).to_f64(),
            DType::Bool => f64::from(u8::from(value != 0.0)),
            _ => self.truncate(value) as f64,
        }
    }

    /// The integer that a value becomes when stored in this integer type; see [`DType::round`].
    pub fn truncate(self, value: f64) -> i128 {
        let (least, greatest) = self.range().unwrap_or((i128::MIN, i128::MAX));
        match self.size() {
            1 | 2 => self.wrap(i128::from(value as i64)),
            _ if value.is_nan() => least,
            _ => (value as i128).clamp(least, greatest),
        }
    }

    /// The bits of an element of this value, which [`DType::round`] leaves as it is.
    pub fn word(self, value: f64) -> Word {
        match self {
            DType::F64 => Word::Eight(value.to_bits()),
            DType::F32 => Word::Four((value as f32).to_bits()),
            DType::F16 => Word::Two(nearest_f16(value).to_bits()),
            DType::BF16 => Word::Two(nearest_bf16(value).to_bits()),
            _ => self.integer_word(self.truncate(value)),
        }
    }

    /// The bits of an element of an integer type that holds `value`, wrapped to its range.
    pub fn integer_word(self, value: i128) -> Word {
        match self.size() {
            1 => Word::One(self.wrap(value) as u8),
            2 => Word::Two(value as u16),
            4 => Word::Four(value as u32),
            _ => Word::Eight(value as u64),
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

/// `value` in float32 with an odd last digit where it is none of its numbers: what rounds that to fewer digits rounds `value`.
/// (`half`'s own conversions from f64 forget the last 32 bits.)
fn odd(value: f64) -> f32 {
    let near = value as f32;
    if !near.is_finite() || f64::from(near) == value || near.to_bits() & 1 == 1 {
        return near;
    }
    if f64::from(near) < value { near.next_up() } else { near.next_down() }
}

/// The nearest float16, ties to even.
pub fn nearest_f16(value: f64) -> f16 {
    f16::from_f32(odd(value))
}

/// The nearest bfloat16, ties to even.
pub fn nearest_bf16(value: f64) -> bf16 {
    bf16::from_f32(odd(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_the_nearest_to_numbers_with_many_digits() {
        // Between two neighbours, and by the last digit of an f64 beyond the middle.
        let (low, high) = (1.0, 1.0 + 2f64.powi(-10));
        let middle = (low + high) / 2.0;
        for (value, nearest) in [(middle, low), (middle.next_up(), high), (middle.next_down(), low), (-middle, -low)] {
            assert_eq!(DType::F16.round(value), nearest);
        }
        let (low, high) = (1.0, 1.0 + 2f64.powi(-7));
        let middle = (low + high) / 2.0;
        for (value, nearest) in [(middle, low), (middle.next_up(), high), (middle.next_down(), low)] {
            assert_eq!(DType::BF16.round(value), nearest);
        }
        assert_eq!((DType::F16.round(65519.9), DType::F16.round(65520.0)), (65504.0, f64::INFINITY));
        assert_eq!((DType::F16.round(1e300), DType::BF16.round(-1e300)), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(DType::F16.round(f64::NAN).is_nan() && DType::BF16.round(1e-300) == 0.0);
    }

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
                    // A signed integer and a uint64 meet in no integer: what they make depends on the third.
                    let signed =
                        [a, b, c].iter().any(|t| matches!(t, DType::I8 | DType::I16 | DType::I32 | DType::I64));
                    if signed && [a, b, c].contains(&DType::U64) {
                        continue;
                    }
                    assert_eq!(a.promote(b).promote(c), a.promote(b.promote(c)), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn types_that_no_tensor_holds_are_refused_with_those_that_are() {
        assert!(DType::parse("complex64").unwrap_err().to_string().contains("bfloat16"));
    }

    #[test]
    fn promotion_makes_nothing_of_64_bits_of_what_has_fewer() {
        for a in DType::all() {
            for b in DType::all() {
                let widest = a.size().max(b.size()).max(4);
                assert!(a.promote(b).size() <= widest, "{a} {b}");
            }
        }
        assert_eq!(DType::U32.promote(DType::I8), DType::I32);
        assert_eq!(DType::U64.promote(DType::I8), DType::F32);
        assert_eq!(DType::I64.promote(DType::BF16), DType::BF16);
        assert_eq!(DType::F32.promote(DType::F64), DType::F64);
    }

    #[test]
    fn what_holds_a_type_gives_its_values_back() {
        for to in DType::all() {
            for from in DType::all() {
                let Some((least, greatest)) = from.range() else { continue };
                let exact = [least, greatest, greatest - 1].into_iter().all(|value| match to.is_float() {
                    true => to.round(value as f64) as i128 == value && (value as f64) as i128 == value,
                    false => to.wrap(value) == value,
                });
                assert_eq!(to.holds(from), exact, "{to} of {from}");
            }
        }
        assert!(DType::F64.holds(DType::F32) && DType::F32.holds(DType::BF16) && !DType::F16.holds(DType::BF16));
    }

    #[test]
    fn integers_wrap_and_floats_are_truncated_to_them() {
        assert_eq!(DType::I8.wrap(200), -56);
        assert_eq!(DType::U64.wrap(-1), i128::from(u64::MAX));
        assert_eq!(DType::U8.round(-1.5), 255.0);
        assert_eq!(DType::I64.round(f64::NAN), i64::MIN as f64);
        assert_eq!(DType::U32.round(1e20), f64::from(u32::MAX));
        assert_eq!(DType::I32.round(-7.9), -7.0);
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
