//! What a Python object holds.

use std::mem::MaybeUninit;
use std::ops::Deref;

/// The value of a Python object with a dictionary. When memory runs out between the object and its dictionary, CPython's
/// `object.__new__` gives up an object whose memory is zeros, before anything was put there: zeros are no value here, and
/// nothing is dropped.
pub struct Held<T> {
    is_there: bool,
    value: MaybeUninit<T>,
}

impl<T> From<T> for Held<T> {
    fn from(value: T) -> Self {
        Held { is_there: true, value: MaybeUninit::new(value) }
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        assert!(self.is_there, "an object is used before it is made");
        // SAFETY: the value was put there with the flag, and nothing takes it out.
        unsafe { self.value.assume_init_ref() }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.is_there {
            // SAFETY: as in `deref`; nobody uses it afterwards.
            unsafe { self.value.assume_init_drop() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Held;
    use std::sync::Arc;

    #[test]
    fn values_are_dropped_once_and_zeros_never() {
        let counted = Arc::new(5);
        drop(Held::from(counted.clone()));
        assert_eq!(Arc::strong_count(&counted), 1);
        // SAFETY: zeros are `false` and no value.
        let zeros: Held<Arc<i32>> = unsafe { std::mem::zeroed() };
        drop(zeros);
        assert_eq!(**Held::from(counted), 5);
    }
}
