//! Numbers below 2⁻¹²⁶ count as zero while kernels run.
//!
//! A weight whose gradient has become zero leaves moments that shrink by the same factor in every step until they are
//! subnormal, where they stay: 0.9 times the smallest number rounds to that number. Processors multiply such
//! numbers in microcode, a hundred times slower than others: with some thousand of them among its moments, LeNet-5's
//! epochs took 1.3 times as long from the fourth on. So kernels read and write them as zeros, on every thread alike.

/// The bits of the control register that make results (x86-64: bit 15, AArch64: bit 24) and operands
/// (x86-64: bit 6, AArch64: the same) zero where they are subnormal.
#[cfg(target_arch = "x86_64")]
const FLUSH: u64 = 1 << 15 | 1 << 6;
#[cfg(target_arch = "aarch64")]
const FLUSH: u64 = 1 << 24;

/// The thread's control register of floating-point arithmetic: MXCSR or FPCR.
#[cfg(target_arch = "x86_64")]
fn control() -> u64 {
    let mut value = 0u32;
    // SAFETY: stores the register to a variable that is there for it.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    value.into()
}

#[cfg(target_arch = "aarch64")]
fn control() -> u64 {
    let value;
    // SAFETY: reads the register.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
/// `value` is what [`control`] returned, with the bits of [`FLUSH`] as the thread had them or set while it runs code
/// behind an opaque call alone: the compiler takes for granted that they are clear, and computes constants so.
#[cfg(target_arch = "x86_64")]
unsafe fn set_control(value: u64) {
    let value = value as u32;
    // SAFETY: the register takes what was read from it, and both bits.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
}

/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
unsafe fn set_control(value: u64) {
    // SAFETY: the register takes what was read from it, and the bit.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) value, options(nostack, preserves_flags)) };
}

/// Puts the register back, also when `run` unwinds.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
struct Restored(u64);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Drop for Restored {
    fn drop(&mut self) {
        // SAFETY: as the thread had it.
        unsafe { set_control(self.0) };
    }
}

/// Runs `run` with subnormal operands and results taken for zeros. Machines without such a switch compute with them.
pub fn flushed(run: &dyn Fn()) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    let _restored = {
        let before = control();
        // SAFETY: the bits are cleared again before anything but `run`, an opaque call, runs. Results there differ
        // from what the compiler would compute in subnormal numbers alone, which no code depends on for its safety.
        unsafe { set_control(before | FLUSH) };
        Restored(before)
    };
    std::hint::black_box(run)();
}

#[cfg(test)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::hint::black_box;

    fn halved(x: f32) -> f32 {
        black_box(x) * black_box(0.5)
    }

    #[test]
    fn small_results_and_operands_are_zero_inside_and_only_there() {
        let (least, small) = (f32::MIN_POSITIVE, f32::from_bits(1000));
        let seen = Cell::new([1.0; 3]);
        flushed(&|| seen.set([halved(least), black_box(small) * black_box(1e10), halved(2.0 * least)]));
        assert_eq!(seen.get(), [0.0, 0.0, least]);
        assert!(halved(least) > 0.0 && black_box(small) * black_box(1e10) > 0.0);
    }

    #[test]
    fn a_panic_leaves_the_thread_as_it_was() {
        let before = control();
        let result = std::panic::catch_unwind(|| flushed(&|| panic!("on purpose")));
        assert!(result.is_err());
        assert_eq!(control() & FLUSH, before & FLUSH);
        assert!(halved(f32::MIN_POSITIVE) > 0.0);
    }
}
