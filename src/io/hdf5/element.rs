//! The types of HDF5 in which files hold the elements of arrays.

use crate::dtype::DType;
use hdf5_pure::{Datatype, DatatypeByteOrder, EnumTypeBuilder, FixedPointLayout, FloatingPointLayout};

/// The attribute by which Keras marks opaque elements of two bytes as bfloat16, and its value.
pub const MARK: (&str, &str) = ("dtype", "bfloat16");

const fn float(size: u16, exponent: u8, mantissa: u8) -> FloatingPointLayout {
    FloatingPointLayout {
        bit_offset: 0,
        bit_precision: 8 * size,
        exponent_location: mantissa,
        exponent_size: exponent,
        mantissa_location: 0,
        mantissa_size: mantissa,
        exponent_bias: (1 << (exponent - 1)) - 1,
    }
}

/// The types that are neither integers nor marked: IEEE floats and bfloat16.
const FLOATS: [(DType, FloatingPointLayout); 4] = [
    (DType::F16, float(2, 5, 10)),
    (DType::BF16, float(2, 8, 7)),
    (DType::F32, FloatingPointLayout::IEEE754_BINARY32),
    (DType::F64, FloatingPointLayout::IEEE754_BINARY64),
];

/// Whether a type of integers is signed; `None` for other types.
fn signed(dtype: DType) -> Option<bool> {
    use DType::{I8, I16, I32, I64, U8, U16, U32, U64};
    match dtype {
        I8 | I16 | I32 | I64 => Some(true),
        U8 | U16 | U32 | U64 => Some(false),
        _ => None,
    }
}

fn integer(dtype: DType) -> Datatype {
    let bits = u16::try_from(8 * dtype.size()).unwrap_or(u16::MAX);
    Datatype::FixedPoint {
        size: u32::from(bits / 8),
        byte_order: DatatypeByteOrder::LittleEndian,
        layout: FixedPointLayout { signed: signed(dtype) == Some(true), bit_offset: 0, bit_precision: bits },
    }
}

/// The type in which elements are written: that of h5py for arrays of numpy.
///
/// # Errors
/// What the crate says if it has no such type.
pub fn datatype(dtype: DType) -> Result<Datatype, String> {
    if let DType::BF16 = dtype {
        return Ok(Datatype::Opaque { size: 2, tag: Vec::new() });
    }
    if let DType::Bool = dtype {
        let names = EnumTypeBuilder::with_base(integer(DType::I8)).value("FALSE", 0).value("TRUE", 1);
        return names.build().map_err(|e| e.to_string());
    }
    Ok(match FLOATS.iter().find(|(known, _)| *known == dtype) {
        Some((_, layout)) => Datatype::FloatingPoint {
            size: u32::from(layout.bit_precision / 8),
            byte_order: DatatypeByteOrder::LittleEndian,
            layout: *layout,
        },
        None => integer(dtype),
    })
}

/// The type of elements, and whether their bytes lie in big-endian order; `None` if it is no type of numbers.
///
/// `marked`: whether opaque elements are bfloat16.
pub fn dtype(datatype: &Datatype, marked: bool) -> Option<(DType, bool)> {
    let big = |order: &DatatypeByteOrder| match order {
        DatatypeByteOrder::LittleEndian => Some(false),
        DatatypeByteOrder::BigEndian => Some(true),
        DatatypeByteOrder::Vax => None,
    };
    match datatype {
        Datatype::FixedPoint { size, byte_order, layout } => {
            let found = DType::all().find(|&dtype| {
                signed(dtype) == Some(layout.signed) && dtype.size() == *size as usize && layout.bit_offset == 0
            })?;
            (u32::from(layout.bit_precision) == 8 * size).then_some((found, big(byte_order)?))
        }
        Datatype::FloatingPoint { size, byte_order, layout } => {
            let (found, _) = FLOATS.iter().find(|(_, known)| known == layout)?;
            (found.size() == *size as usize).then_some((*found, big(byte_order)?))
        }
        Datatype::Enumeration { size: 1, members, .. } => {
            let is = |at: usize, name: &str| members.get(at).is_some_and(|m| m.name == name && m.value == [at as u8]);
            (members.len() == 2 && is(0, "FALSE") && is(1, "TRUE")).then_some((DType::Bool, false))
        }
        Datatype::Opaque { size: 2, .. } if marked => Some((DType::BF16, false)),
        _ => None,
    }
}

/// What a type is called in an error.
pub fn kind(datatype: &Datatype) -> &'static str {
    match datatype {
        Datatype::FixedPoint { .. } => "integers of an odd width",
        Datatype::FloatingPoint { .. } => "floats of an odd layout",
        Datatype::Time { .. } => "times",
        Datatype::String { .. } => "strings",
        Datatype::BitField { .. } => "bit fields",
        Datatype::Opaque { .. } => "opaque bytes",
        Datatype::Compound { .. } => "records of several fields",
        Datatype::Reference { .. } => "references",
        Datatype::Enumeration { .. } => "names of an enumeration",
        Datatype::VariableLength { .. } => "lists of varying length",
        Datatype::Array { .. } => "arrays",
        _ => "elements of another kind",
    }
}
