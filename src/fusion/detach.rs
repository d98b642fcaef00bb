//! Groups that a kernel cannot run as they are, taken apart into ones that it can.

use super::Group;
use super::region::{Arg, Operand};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};

impl Group {
    /// A heavy op with nothing attached.
    pub fn bare(anchor: NodeId, inputs: Vec<NodeId>) -> Group {
        Group { anchor: Some(anchor), inputs, outputs: vec![anchor], nodes: vec![anchor], ..Group::default() }
    }

    /// How many of the inputs are the heavy op's and its prologue's.
    fn lead(&self, g: &Graph, anchor: NodeId) -> usize {
        g.node(anchor).inputs.len() + self.prologue.as_ref().map_or(0, |prologue| prologue.operands.len())
    }

    /// The group without its moments, which read what they measure from memory, and each of those.
    ///
    /// # Errors
    /// `State` for a group without anchor or region.
    pub fn without_moments(&self, g: &Graph) -> Result<Vec<Group>> {
        let (Some(_), Some(region)) = (self.anchor, &self.region) else {
            return Err(Error::state("a group has no region whose moments can be taken off"));
        };
        let mut region = region.clone();
        let measured = std::mem::take(&mut region.moments);
        let (outputs, moments) = self.outputs.split_at(self.outputs.len() - measured.len());
        let (stored, reduced) = outputs.split_at(region.stores.len());
        let mut stored = stored.to_vec();
        for (&moment, &arg) in moments.iter().zip(&measured) {
            let value = g.node(moment).inputs[0];
            if !stored.contains(&value) {
                region.stores.push((arg, g.fact(value).dtype));
                stored.push(value);
            }
        }
        stored.extend(reduced);
        let nodes = self.nodes.iter().filter(|n| !moments.contains(n)).copied().collect();
        let mut groups = vec![Group { region: Some(region), outputs: stored, nodes, ..self.clone() }];
        groups.extend(moments.iter().map(|&moment| Group::bare(moment, g.node(moment).inputs.to_vec())));
        Ok(groups)
    }

    /// The heavy op with its prologue; its region, which reads what that made from memory, if it makes anything; and each
    /// moment.
    ///
    /// # Errors
    /// `State` for a group without anchor or region.
    pub fn without_region(&self, g: &Graph) -> Result<Vec<Group>> {
        let (Some(anchor), Some(region)) = (self.anchor, &self.region) else {
            return Err(Error::state("a group has no region that can be taken off its heavy op"));
        };
        let lead = self.lead(g, anchor);
        let (prologue, before) = (self.prologue.clone(), self.before.clone());
        let own = self.nodes.iter().filter(|n| **n == anchor || before.contains(n)).copied().collect();
        let bare = Group::bare(anchor, self.inputs[..lead].to_vec());
        let mut groups = vec![Group { prologue, before, nodes: own, ..bare }];
        let mut region = region.clone();
        let (outputs, moments) = self.outputs.split_at(self.outputs.len() - region.moments.len());
        let measured = std::mem::take(&mut region.moments);
        let at = Arg::Operand(region.operands.len() as u16);
        region.operands.push(Operand { dtype: g.fact(anchor).dtype, strides: region.shape.strides() });
        let replace = |arg: &mut Arg| {
            if *arg == Arg::Anchor {
                *arg = at;
            }
        };
        region.code.iter_mut().for_each(|i| i.args.iter_mut().for_each(replace));
        region.reductions.iter_mut().for_each(|r| replace(&mut r.source));
        let mut inputs = self.inputs[lead..].to_vec();
        inputs.push(anchor);
        // The anchor's own value is there already.
        let mut made = Vec::new();
        let mut stores = Vec::new();
        let kept = outputs[region.stores.len()..].to_vec();
        for (store, &o) in region.stores.iter().zip(outputs) {
            if store.0 != Arg::Anchor {
                stores.push(*store);
                made.push(o);
            }
        }
        // A moment reads what it measures from memory.
        for (&moment, &arg) in moments.iter().zip(&measured) {
            let value = g.node(moment).inputs[0];
            if arg != Arg::Anchor && !made.contains(&value) {
                stores.push((arg, g.fact(value).dtype));
                made.push(value);
            }
        }
        made.extend(kept);
        region.stores = stores;
        if !made.is_empty() {
            let apart = |n: &NodeId| *n != anchor && !moments.contains(n) && !self.before.contains(n);
            let nodes = self.nodes.iter().copied().filter(apart).collect();
            groups.push(Group { region: Some(region), inputs, outputs: made, nodes, ..Group::default() });
        }
        groups.extend(moments.iter().map(|&moment| Group::bare(moment, g.node(moment).inputs.to_vec())));
        Ok(groups)
    }

    /// The prologue as a group of its own, and the group that reads what it stores.
    ///
    /// # Errors
    /// `State` for a group without one.
    pub fn without_prologue(&self, g: &Graph) -> Result<[Group; 2]> {
        let (Some(anchor), Some(prologue)) = (self.anchor, &self.prologue) else {
            return Err(Error::state("a group has no prologue"));
        };
        let value = g.node(anchor).inputs[0];
        let lead = g.node(anchor).inputs.len();
        let after = lead + prologue.operands.len();
        let mut region = prologue.clone();
        let at = Arg::Operand(region.operands.len() as u16);
        region.operands.push(Operand { dtype: g.fact(self.inputs[0]).dtype, strides: region.shape.strides() });
        let args = region.code.iter_mut().flat_map(|i| &mut i.args);
        args.filter(|arg| **arg == Arg::Anchor).for_each(|arg| *arg = at);
        let mut inputs = self.inputs[lead..after].to_vec();
        inputs.push(self.inputs[0]);
        let (nodes, rest): (Vec<NodeId>, Vec<NodeId>) = self.nodes.iter().partition(|n| self.before.contains(n));
        let before = Group { region: Some(region), inputs, outputs: vec![value], nodes, ..Group::default() };
        let mut bare = Group { prologue: None, before: Vec::new(), nodes: rest, ..self.clone() };
        bare.inputs =
            std::iter::once(value).chain(self.inputs[1..lead].iter().chain(&self.inputs[after..]).copied()).collect();
        Ok([before, bare])
    }
}
