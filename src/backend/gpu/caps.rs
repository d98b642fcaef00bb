//! What kernels may count on, and which of them a process lets run.

use crate::error::{Error, Result};

/// The variable that names the tier of kernels to use.
pub const TIER_VARIABLE: &str = "CNNRS_GPU_TIER";

/// Kernels by how far they are from the definition of what they compute. Each tier has those of the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// One element of the output an invocation.
    Plain,
    /// Tiles in shared memory and sums cut into parts, wherever they fit.
    Tiled,
    /// Products over transformed windows wherever they fit, tiles elsewhere.
    Winograd,
    /// Whatever costs least.
    Auto,
}

impl Tier {
    /// All tiers, by name.
    pub const ALL: [(&'static str, Tier); 4] =
        [("plain", Tier::Plain), ("tiled", Tier::Tiled), ("winograd", Tier::Winograd), ("auto", Tier::Auto)];

    /// "plain", "tiled", "winograd" or "auto".
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The tier of a name, if it is one.
    pub fn parse(name: &str) -> Option<Tier> {
        Self::ALL.iter().find(|tier| tier.0 == name).map(|tier| tier.1)
    }

    /// What [`TIER_VARIABLE`] says, if it says something.
    ///
    /// # Errors
    /// `Value` when it names no tier.
    pub fn forced() -> Result<Option<Tier>> {
        let name = std::env::var(TIER_VARIABLE).unwrap_or_default();
        match Tier::parse(&name) {
            None if name.is_empty() => Ok(None),
            Some(tier) => Ok(Some(tier)),
            None => Err(Error::value(format!(
                "{TIER_VARIABLE}: expected \"plain\", \"tiled\", \"winograd\" or \"auto\", received {name:?}"
            ))),
        }
    }
}

/// The variable that says how products whose layers compute in 16 bits run.
pub const HALVES_VARIABLE: &str = "CNNRS_GPU_HALF";

/// How products run whose layers compute in 16 bits. Sums are those of float32 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Halves {
    /// As all others: on operands in float32.
    Never,
    /// Of what costs least, tiles of halves included.
    AutoTiles,
    /// Of what costs least, cooperative matrices included.
    Auto,
    /// In tiles of halves wherever these fit.
    Tiles,
    /// On cooperative matrices wherever these fit, in tiles of halves elsewhere.
    Matrices,
}

impl Halves {
    /// All of them, by name.
    pub const ALL: [(&'static str, Halves); 5] = [
        ("never", Halves::Never),
        ("auto-tiles", Halves::AutoTiles),
        ("auto", Halves::Auto),
        ("tiles", Halves::Tiles),
        ("matrices", Halves::Matrices),
    ];

    /// The name that [`Halves::parse`] takes.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// What has this name, if something has.
    pub fn parse(name: &str) -> Option<Halves> {
        Self::ALL.iter().find(|halves| halves.0 == name).map(|halves| halves.1)
    }

    /// What [`HALVES_VARIABLE`] says, unless that is "auto" or nothing.
    ///
    /// # Errors
    /// `Value` when it says something else.
    pub fn forced() -> Result<Option<Halves>> {
        let name = std::env::var(HALVES_VARIABLE).unwrap_or_default();
        match Halves::parse(&name) {
            Some(halves @ (Halves::Never | Halves::Tiles | Halves::Matrices)) => Ok(Some(halves)),
            Some(Halves::Auto) => Ok(None),
            None if name.is_empty() => Ok(None),
            _ => Err(Error::value(format!(
                "{HALVES_VARIABLE}: expected \"auto\", \"never\", \"tiles\" or \"matrices\", received {name:?}"
            ))),
        }
    }

    /// Whether operands may lie in tiles of halves.
    pub fn in_tiles(self) -> bool {
        self != Halves::Never
    }

    /// Whether cooperative matrices may multiply.
    pub fn on_matrices(self) -> bool {
        matches!(self, Halves::Auto | Halves::Matrices)
    }

    /// Whether the choice is made before costs are asked.
    pub fn is_forced(self) -> bool {
        matches!(self, Halves::Tiles | Halves::Matrices)
    }
}

/// The matrices that a subgroup multiplies together: square ones of float16, with sums in float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Rows and columns: 8 or 16.
    pub size: usize,
    /// Invocations of the smallest subgroup, 32 at most: an upper bound of subgroups in a workgroup follows.
    pub lanes: usize,
}

/// Who makes a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
    /// Intel.
    Intel,
    /// Apple.
    Apple,
    /// A driver that computes on the processor.
    Software,
    /// Anybody else.
    Other,
}

/// What a device offers to kernels. Which kernel runs follows from it and from shapes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Who makes it.
    pub vendor: Vendor,
    /// Whether its memory is its own.
    pub discrete: bool,
    /// Bytes of shared memory of a workgroup.
    pub shared_bytes: usize,
    /// Invocations of a workgroup.
    pub invocations: usize,
    /// The most bytes of one binding.
    pub tensor_bytes: u64,
    /// Whether kernels may compute with float16.
    pub float16: bool,
    /// What its subgroups multiply, if they do.
    pub fragment: Option<Fragment>,
}

/// How fast a device is, as far as its maker says: no interface tells. Only ratios count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Processors that run workgroups.
    pub units: f64,
    /// Multiply-adds of one of them a cycle.
    pub products: f64,
    /// Bytes of memory for each of them a cycle.
    pub bytes: f64,
    /// Invocations that keep one of them busy.
    pub busy: f64,
    /// Cycles that a dispatch costs.
    pub dispatch: f64,
    /// How much faster the multiply-adds of a tile are whose operands are float16: where an instruction takes these as
    /// they are, a read of shared memory brings twice as many; elsewhere each has to be converted.
    pub float16: f64,
    /// How much faster cooperative matrices multiply.
    pub matrices: f64,
}

impl Speed {
    /// The same for bfloat16, each of which is shifted into its place.
    pub const BFLOAT16: f64 = 0.85;
}

impl Caps {
    /// The most bytes of one binding, as far as the host counts.
    pub fn binding_bytes(&self) -> usize {
        usize::try_from(self.tensor_bytes).unwrap_or(usize::MAX)
    }

    /// The vendor of this number in the lists of PCI and of Vulkan.
    pub fn vendor(number: u32, is_software: bool) -> Vendor {
        match number {
            _ if is_software => Vendor::Software,
            0x10de => Vendor::Nvidia,
            0x1002 | 0x1022 => Vendor::Amd,
            0x8086 => Vendor::Intel,
            0x106b => Vendor::Apple,
            _ => Vendor::Other,
        }
    }

    /// The row of the vendor: middling devices of recent years.
    pub fn speed(&self) -> Speed {
        let [units, products, bytes, busy, dispatch, float16, matrices] = match (self.vendor, self.discrete) {
            (Vendor::Nvidia, _) => [80.0, 128.0, 12.0, 256.0, 4000.0, 0.8, 4.0],
            (Vendor::Amd, true) => [60.0, 128.0, 8.0, 256.0, 6000.0, 1.1, 2.0],
            (Vendor::Amd, false) => [12.0, 128.0, 4.0, 256.0, 6000.0, 1.1, 2.0],
            (Vendor::Intel, true) => [28.0, 128.0, 8.0, 256.0, 8000.0, 1.1, 2.0],
            (Vendor::Intel, false) => [8.0, 128.0, 4.0, 256.0, 8000.0, 1.1, 1.5],
            (Vendor::Apple, _) => [16.0, 128.0, 10.0, 256.0, 6000.0, 1.15, 1.3],
            (Vendor::Software, _) => [4.0, 16.0, 8.0, 64.0, 20000.0, 0.6, 1.0],
            (Vendor::Other, _) => [16.0, 128.0, 6.0, 256.0, 8000.0, 1.0, 1.5],
        };
        Speed { units, products, bytes, busy, dispatch, float16, matrices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_have_the_names_that_the_variable_takes() {
        for (k, (name, tier)) in Tier::ALL.into_iter().enumerate() {
            assert_eq!((tier as usize, tier.name(), Tier::parse(name)), (k, name, Some(tier)));
        }
        assert_eq!(Tier::parse("fast"), None);
        assert!(Tier::Plain < Tier::Tiled && Tier::Tiled < Tier::Winograd && Tier::Winograd < Tier::Auto);
    }

    #[test]
    fn ways_to_compute_halves_have_the_names_that_are_parsed() {
        for (k, (name, halves)) in Halves::ALL.into_iter().enumerate() {
            assert_eq!((halves as usize, halves.name(), Halves::parse(name)), (k, name, Some(halves)));
        }
        let of = |test: fn(Halves) -> bool| Halves::ALL.map(|(_, halves)| test(halves));
        assert_eq!(of(Halves::in_tiles), [false, true, true, true, true]);
        assert_eq!(of(Halves::on_matrices), [false, false, true, false, true]);
        assert_eq!(of(Halves::is_forced), [false, false, false, true, true]);
    }

    #[test]
    fn a_software_driver_is_none_of_the_vendors() {
        assert_eq!(Caps::vendor(0x10de, false), Vendor::Nvidia);
        assert_eq!(Caps::vendor(0x10005, true), Vendor::Software);
        assert_eq!(Caps::vendor(0x10005, false), Vendor::Other);
    }
}
