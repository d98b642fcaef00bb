//! What is attached to a heavy kernel, as functions that the kernel calls on what it reads and makes.

use super::candidates::Task;
use super::cut::Piece;
use super::region::{RegionText, takes_quads};
use super::shader::{Dispatch, Module, Operand};
use crate::dtype::DType;
use crate::fusion::Group;
use crate::fusion::region::{Arg, Region};
use std::borrow::Cow;

/// A heavy op with its group.
pub struct Attached<'a> {
    /// The op.
    pub task: Task<'a>,
    group: &'a Group,
    /// The epilogue, or the store of the op's own value.
    epilogue: Cow<'a, Region>,
    /// The first element of the output that is computed, and of each input that is bound.
    first: usize,
    from: Vec<usize>,
}

impl<'a> Attached<'a> {
    /// What `group` attaches to its anchor, whose facts `task` has.
    pub fn new(task: Task<'a>, group: &'a Group) -> Self {
        let own = || Region {
            shape: task.output.shape.clone(),
            stores: vec![(Arg::Anchor, task.output.dtype)],
            ..Region::default()
        };
        let epilogue = group.region.as_ref().map_or_else(|| Cow::Owned(own()), Cow::Borrowed);
        let from = vec![0; task.inputs.len()];
        Attached { task, group, epilogue, first: 0, from }
    }

    /// Of a piece: `task` has the inputs of the whole and the output of the piece.
    pub fn of_piece(task: Task<'a>, piece: &'a Piece) -> Self {
        Attached { first: piece.first, from: piece.from.clone(), ..Self::new(task, &piece.group) }
    }

    /// The first element of input `k` that is bound.
    pub fn from(&self, k: usize) -> usize {
        self.from[k]
    }

    /// Whether the op's own value is all that is stored.
    pub fn is_bare(&self) -> bool {
        self.group.region.is_none()
    }

    /// Whether the inputs of the prologue can be read in quads.
    pub fn reads_quads(&self) -> bool {
        self.group.prologue.as_ref().is_none_or(takes_quads)
    }

    /// Whether what the op makes can be stored in quads.
    pub fn stores_quads(&self) -> bool {
        takes_quads(&self.epilogue)
    }

    /// Whether elements are stored in words of their own.
    pub fn stores_words(&self) -> bool {
        self.epilogue.stores.iter().all(|s| s.1.size() == 4)
    }

    /// The outputs of the kernel, with their types.
    pub fn stores(&self) -> Vec<(Operand, DType)> {
        self.epilogue.stores.iter().enumerate().map(|(k, s)| (Operand::Output(k), s.1)).collect()
    }

    /// Adds `fn input<k>(at)` that gives elements of the op's inputs, the first behind its prologue, and for inputs of
    /// which `quads` says so `fn input<k>_4(at)`.
    pub fn inputs(&self, module: &mut Module, quads: &[bool]) {
        for k in 0..self.task.inputs.len() {
            self.input(module, k, quads.get(k).copied().unwrap_or(false));
        }
    }

    /// Adds the same functions of input `k` alone.
    pub fn input(&self, module: &mut Module, k: usize, in_quads: bool) {
        let fact = &self.task.inputs[k];
        let prologue = self.group.prologue.as_ref().filter(|_| k == 0);
        let name = if prologue.is_some() { "raw0".to_owned() } else { format!("input{k}") };
        // What a prologue reads may have another type than what it makes.
        let dtype = prologue.map_or(fact.dtype, Region::anchor_dtype);
        if in_quads && (fact.shape.len() * dtype.size()).is_multiple_of(16) {
            module.widen(Operand::Input(k));
        }
        module.loader_by(&name, Operand::Input(k), dtype, -(self.from[k] as i64));
        if in_quads {
            module.quad_loader(&format!("{name}_4"), Operand::Input(k), dtype);
        }
        if let Some(prologue) = prologue {
            let text = RegionText::new(module, prologue, self.lead(), "before", Some(dtype), in_quads);
            let (store, stored) = prologue.stores[0];
            text.function(module, "prologue", store, stored);
            module.add("fn input0(at: u32) -> f32 { return prologue(at, raw0(at)); }");
            if in_quads {
                module.add("fn input0_4(at: u32) -> vec4<f32> { return prologue_4(at, raw0_4(at)); }");
            }
        }
    }

    fn lead(&self) -> usize {
        self.task.inputs.len()
    }

    fn epilogue_text(&self, module: &mut Module, quads: bool) {
        let first = self.lead() + self.group.prologue.as_ref().map_or(0, |p| p.operands.len());
        RegionText::new(module, &self.epilogue, first, "beside", Some(self.task.output.dtype), quads).stores(module);
    }

    /// Adds `fn put(at: u32, x: f32)` that stores what the epilogue makes of element `at`, or with `quads` `fn put_4(at:
    /// u32, x: vec4<f32>)` for four.
    pub fn outputs(&self, module: &mut Module, quads: bool) {
        let stores = self.stores();
        if !quads {
            self.epilogue_text(module, false);
            let text: Vec<String> = stores
                .iter()
                .enumerate()
                .map(|(k, &(operand, dtype))| module.store_word(operand, dtype, "at", &format!("v.v{k}")))
                .collect();
            module.add(&format!("fn put(at: u32, x: f32) {{\n  let v = attached(at, x);\n  {}\n}}", text.join("\n  ")));
            return;
        }
        stores.iter().filter(|s| s.1.size() == 4).for_each(|s| module.widen(s.0));
        self.epilogue_text(module, true);
        let text: Vec<String> = stores
            .iter()
            .enumerate()
            .map(|(k, &(operand, dtype))| {
                module.store_quad(operand, dtype, "at", &[0, 1, 2, 3].map(|e| format!("q.e{e}.v{k}")))
            })
            .collect();
        module.add(&format!(
            "fn put_4(at: u32, x: vec4<f32>) {{\n  let q = attached_4(at, x);\n  {}\n}}",
            text.join("\n  ")
        ));
    }

    /// The dispatch in which every invocation computes some elements: `fn anchor(at: u32)` gives one, and with `quads`
    /// `fn anchor_4(at: u32)` four.
    pub fn elementwise(&self, mut module: Module, quads: bool) -> Dispatch {
        let (stores, count) = (self.stores(), self.task.output.shape.len());
        if quads {
            stores.iter().filter(|s| s.1.size() == 4).for_each(|s| module.widen(s.0));
        }
        self.epilogue_text(&mut module, quads);
        if quads {
            module.add("fn value_4(at: u32) -> Quad { return attached_4(at, anchor_4(at)); }");
            return module.by_quads(count, &stores);
        }
        let first = if self.first == 0 { String::new() } else { format!(" + {}u", self.first) };
        module.add(&format!("fn value(at: u32) -> Values {{ return attached(at, anchor(at{first})); }}"));
        module.elementwise(count, &stores)
    }
}
