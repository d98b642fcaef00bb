//! What stands at a tensor: its elements, at home in the memory of one device.

use crate::buffer::{Buffer, Element};
use crate::error::Result;
use crate::shape::Fact;
use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Memory of a device other than the host, with the elements of one tensor.
pub trait Resident: Send + Sync + 'static {
    /// Shape and dtype.
    fn fact(&self) -> &Fact;

    /// The device, as programs name it: "gpu:0".
    fn device(&self) -> &str;

    /// Whether the device was lost, and the elements with it.
    fn is_lost(&self) -> bool;

    /// A copy in the host's memory, once what makes the elements has run. `stop` is asked now and then whether to give up.
    ///
    /// # Errors
    /// When the run that makes them met bad data, the device is lost, memory runs out, or `stop` says so.
    fn download(&self, stop: &dyn Fn() -> bool) -> Result<Buffer>;

    /// The memory, for the backend that it belongs to.
    fn as_any(&self) -> &dyn Any;

    /// As [`Resident::as_any`].
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The elements of one tensor. They have one home: the host's memory or a device's. What lies elsewhere is a copy of them,
/// made when somebody asks for it and kept as long as the value.
///
/// ```
/// use cnnrs::{Buffer, Value};
/// let value = Value::from(Buffer::from_slice(&[2], &[1.0f32, 2.0])?);
/// assert_eq!((value.device(), value.to_vec::<f32>()?), ("cpu:0", vec![1.0, 2.0]));
/// # Ok::<(), cnnrs::Error>(())
/// ```
pub struct Value {
    home: Home,
}

enum Home {
    Host { buffer: Buffer, copy: Mutex<Option<Arc<dyn Resident>>> },
    Device { memory: Box<dyn Resident>, copy: OnceLock<Buffer> },
}

/// The host's memory, as programs name it.
const HOST: &str = "cpu:0";

impl Value {
    /// A value at home on a device.
    pub fn on_device(memory: Box<dyn Resident>) -> Self {
        Value { home: Home::Device { memory, copy: OnceLock::new() } }
    }

    /// Shape and dtype.
    pub fn fact(&self) -> &Fact {
        match &self.home {
            Home::Host { buffer, .. } => buffer.fact(),
            Home::Device { memory, .. } => memory.fact(),
        }
    }

    /// Where the value is at home, as programs name it: "cpu:0" is the host's memory.
    pub fn device(&self) -> &str {
        match &self.home {
            Home::Host { .. } => HOST,
            Home::Device { memory, .. } => memory.device(),
        }
    }

    /// Whether the value is at home in the host's memory.
    pub fn is_host(&self) -> bool {
        matches!(self.home, Home::Host { .. })
    }

    /// The elements in the host's memory. The first call waits for a device that is at work on them.
    ///
    /// # Errors
    /// As [`Resident::download`].
    pub fn host(&self) -> Result<&Buffer> {
        self.host_unless(&|| false)
    }

    /// As [`Value::host`]; `stop` is asked now and then whether to give up.
    ///
    /// # Errors
    /// As [`Resident::download`].
    pub fn host_unless(&self, stop: &dyn Fn() -> bool) -> Result<&Buffer> {
        match &self.home {
            Home::Host { buffer, .. } => Ok(buffer),
            Home::Device { memory, copy } => match copy.get() {
                Some(buffer) => Ok(buffer),
                None => {
                    let made = memory.download(stop)?;
                    Ok(copy.get_or_init(|| made))
                }
            },
        }
    }

    /// The elements, in memory that the caller owns.
    ///
    /// # Errors
    /// As [`Resident::download`].
    pub fn into_host(self) -> Result<Buffer> {
        match self.home {
            Home::Host { buffer, .. } => Ok(buffer),
            Home::Device { memory, copy } => match copy.into_inner() {
                Some(buffer) => Ok(buffer),
                None => memory.download(&|| false),
            },
        }
    }

    /// Whether the elements are gone with a device that was lost.
    pub fn is_lost(&self) -> bool {
        match &self.home {
            Home::Host { .. } => false,
            Home::Device { memory, copy } => copy.get().is_none() && memory.is_lost(),
        }
    }

    /// The copy that the host has of a value of a device, taken out.
    pub fn take_copy(&mut self) -> Option<Buffer> {
        match &mut self.home {
            Home::Host { .. } => None,
            Home::Device { copy, .. } => copy.take(),
        }
    }

    /// The elements for writing, if they are at home in the host's memory. Copies elsewhere are given up.
    pub fn host_mut(&mut self) -> Option<&mut Buffer> {
        match &mut self.home {
            Home::Host { buffer, copy } => {
                *copy.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
                Some(buffer)
            }
            Home::Device { .. } => None,
        }
    }

    /// The memory of the device where the value is at home, unless that is the host.
    pub fn resident(&self) -> Option<&dyn Resident> {
        match &self.home {
            Home::Host { .. } => None,
            Home::Device { memory, .. } => Some(&**memory),
        }
    }

    /// As [`Value::resident`], taken out; or else the value again.
    ///
    /// # Errors
    /// The value, where it is at home in the host's memory.
    pub fn into_resident(self) -> std::result::Result<Box<dyn Resident>, Self> {
        match self.home {
            Home::Device { memory, .. } => Ok(memory),
            Home::Host { .. } => Err(self),
        }
    }

    /// The copy that a device has of a value of the host, made by `upload` unless there is one that `fits`.
    ///
    /// # Errors
    /// Those of `upload`.
    pub fn copy_on_device(
        &self,
        fits: impl Fn(&dyn Resident) -> bool,
        upload: impl FnOnce(&Buffer) -> Result<Arc<dyn Resident>>,
    ) -> Result<Option<Arc<dyn Resident>>> {
        let Home::Host { buffer, copy } = &self.home else { return Ok(None) };
        let mut copy = copy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = copy.as_ref().filter(|found| fits(&***found)) {
            return Ok(Some(found.clone()));
        }
        let made = upload(buffer)?;
        *copy = Some(made.clone());
        Ok(Some(made))
    }

    /// Gives up the copy that a device has of a value of the host.
    pub fn forget_copy(&self) {
        if let Home::Host { copy, .. } = &self.home {
            *copy.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// The elements, row-major.
    ///
    /// # Errors
    /// As [`Resident::download`].
    ///
    /// # Panics
    /// When `T` is not the element type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        Ok(self.host()?.as_slice::<T>().to_vec())
    }
}

impl From<Buffer> for Value {
    fn from(buffer: Buffer) -> Self {
        Value { home: Home::Host { buffer, copy: Mutex::default() } }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({} on {})", self.fact(), self.device())
    }
}

/// A shared value whose elements are in the host's memory; it stands for them.
#[derive(Clone)]
pub struct HostValue(Arc<Value>);

impl HostValue {
    /// Of `value`, brought to the host's memory if it is not there.
    ///
    /// # Errors
    /// As [`Resident::download`].
    pub fn new(value: Arc<Value>, stop: &dyn Fn() -> bool) -> Result<Self> {
        value.host_unless(stop)?;
        Ok(HostValue(value))
    }
}

impl Deref for HostValue {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        match &self.0.home {
            Home::Host { buffer, .. } => buffer,
            Home::Device { copy, .. } => copy.get().expect("brought to the host when this was made"),
        }
    }
}
