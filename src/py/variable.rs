//! `_core.Variable`.

use super::convert;
use super::held::Held;
use super::operators::{self, with_operators};
use super::tensor::PyTensor;
use crate::dtype::DType;
use crate::lazy::{self, Tensor, Variable};
use crate::shape::Fact;
use pyo3::prelude::*;

/// A versioned cell: assignment rebinds it, and what was read before stays as it was.
#[pyclass(name = "Variable", module = "cnnrs._core", frozen, weakref, dict, subclass)]
pub struct PyVariable {
    pub variable: Held<Variable>,
    /// Whether layers read it in their own type.
    autocast: bool,
}

impl PyVariable {
    fn fact(&self) -> &Fact {
        self.variable.fact()
    }

    /// The current version, in the type in which the layer that is being called reads it.
    pub fn read(&self) -> PyResult<Tensor> {
        let value = self.variable.read()?;
        Ok(if self.autocast { lazy::autocast(value)? } else { value })
    }

    /// The element type of what [`PyVariable::read`] gives.
    pub fn read_type(&self) -> DType {
        let dtype = self.fact().dtype;
        if self.autocast { lazy::read_type(dtype) } else { dtype }
    }
}

fn own(v: &PyVariable) -> PyResult<Tensor> {
    v.read()
}

with_operators!(PyVariable, own, {
    #[new]
    #[pyo3(signature = (value, dtype=None, trainable=true, name="", autocast=true))]
    fn new(
        value: &Bound<'_, PyAny>,
        dtype: Option<&str>,
        trainable: bool,
        name: &str,
        autocast: bool,
    ) -> PyResult<Self> {
        let mut tensor = convert::to_tensor(value, None)?;
        if let Some(dtype) = dtype {
            tensor = tensor.cast(DType::parse(dtype)?)?;
        }
        let py = value.py();
        let name = name.to_owned();
        let variable = py.detach(move || Variable::new(&tensor, trainable, &name))?;
        Ok(PyVariable { variable: variable.into(), autocast })
    }

    /// Name, shape, dtype and numbers; in a function that is being traced there are none.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (fact, name) = (self.fact(), self.variable.name());
        let numbers = super::tensor::numbers(py, &self.variable.read()?)?;
        Ok(format!("<Variable name={name} shape={} dtype={}{numbers}>", fact.shape, fact.dtype))
    }

    /// The name given at creation.
    #[getter]
    fn name(&self) -> String {
        self.variable.name().to_owned()
    }

    /// How often the variable has been assigned.
    #[getter]
    fn version(&self) -> u64 {
        self.variable.version()
    }

    /// Identity, unique in the process.
    #[getter]
    fn id(&self) -> u64 {
        self.variable.id()
    }

    /// Whether layers read it in their own float type, if it is of another.
    #[getter]
    fn autocast(&self) -> bool {
        self.autocast
    }

    /// Whether gradients are taken with respect to it by default.
    #[getter]
    fn trainable(&self) -> bool {
        self.variable.trainable()
    }

    #[setter]
    fn set_trainable(&self, trainable: bool) {
        self.variable.set_trainable(trainable);
    }

    /// The current version, as an immutable tensor.
    #[getter]
    fn value(&self) -> PyResult<PyTensor> {
        Ok(self.read()?.into())
    }

    /// Keeps a copy of the current value in the host's memory, for `recover`.
    fn keep(&self, py: Python<'_>) -> PyResult<()> {
        let variable = self.variable.clone();
        super::caller::run(py, move || variable.keep())
    }

    /// If the current value is lost with its device, makes the last one that was in the host's memory the current one; says
    /// whether it did.
    fn recover(&self, py: Python<'_>) -> PyResult<bool> {
        let variable = self.variable.clone();
        super::caller::run(py, move || variable.recover())
    }

    /// Makes `value` the current version.
    fn assign(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let fact = self.fact();
        let mut tensor = convert::to_tensor(value, Some(fact.dtype))?;
        // Numbers and arrays take the variable's type; tensors must have it.
        let is_tensor = value.is_instance_of::<PyTensor>() || value.is_instance_of::<PyVariable>();
        if !is_tensor && tensor.fact().dtype != fact.dtype {
            tensor = tensor.cast(fact.dtype)?;
        }
        Ok(self.variable.assign(&tensor)?)
    }
});

pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyVariable>()
}
