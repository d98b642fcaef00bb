//! Steps that share a dispatch. A dispatch costs the device the time until the one before is done, and the host a command: of
//! small ones that is all that they cost. So regions that read nothing of each other run as segments of one dispatch: the
//! updates of many weights, moving statistics, and what is computed of single numbers.

use super::StepKernels;
use super::segments::{self, Segment};
use super::shader::{Dispatch, Operand};
use crate::fusion::region::Region;
use crate::graph::NodeId;
use crate::schedule::{Schedule, Step};
use std::collections::{HashMap, HashSet};

/// The most tensors that a joint dispatch binds: its text grows with them, and with it the time that drivers take for it.
const MOST: usize = 256;
/// The most elements of a region that is computed sooner than it has to be to share a dispatch. Larger ones fill a device by
/// themselves, and would take memory for longer.
const SMALL: usize = 1 << 16;

/// What the dispatch of several steps binds, in the order of its operands' numbers, instead of its own step's inputs and
/// outputs.
pub struct Joint {
    /// Values that are read.
    pub inputs: Vec<NodeId>,
    /// Values that are made.
    pub outputs: Vec<NodeId>,
    /// Steps, this one and those behind it, which have no dispatches of their own.
    pub steps: usize,
}

/// Steps that share a dispatch, or one that does not.
struct Group {
    steps: Vec<Step<StepKernels>>,
    inputs: HashSet<NodeId>,
    outputs: usize,
    open: bool,
}

/// The region of a step that may share a dispatch.
fn region(step: &Step<StepKernels>) -> Option<&Region> {
    let alone = step.copies_output.is_none() && step.code.dispatches.len() == 1;
    step.code.region.as_ref().filter(|region| alone && segments::fits(region))
}

/// Has steps of `schedule` share dispatches, each of which binds `bindings` tensors at most. Steps move forward to those that
/// they join; those that commit stay behind all others.
pub fn join(schedule: &mut Schedule<StepKernels>, bindings: usize) {
    let bindings = bindings.min(MOST);
    let commits = schedule.steps.split_off(schedule.commit_from);
    let steps = std::mem::take(&mut schedule.steps);
    for (steps, most) in [(steps, SMALL), (commits, usize::MAX)] {
        for group in grouped(steps, most, bindings) {
            schedule.steps.extend(joined(group.steps));
        }
    }
}

/// Groups in the order in which they run. Each step runs behind what makes its inputs.
fn grouped(steps: Vec<Step<StepKernels>>, most: usize, bindings: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut maker: HashMap<NodeId, usize> = HashMap::new();
    for step in steps {
        let ready = step.inputs.iter().filter_map(|input| maker.get(input)).map(|&group| group + 1).max().unwrap_or(0);
        let open = region(&step).is_some_and(|region| region.shape.len() <= most);
        let room = |group: &Group| {
            let more: HashSet<&NodeId> = step.inputs.iter().filter(|input| !group.inputs.contains(*input)).collect();
            group.open && group.inputs.len() + more.len() + group.outputs + step.outputs.len() <= bindings
        };
        // The last one: values live as short as possible.
        let found = (ready..groups.len()).rev().find(|&k| open && room(&groups[k]));
        let at = found.unwrap_or(groups.len());
        if found.is_none() {
            groups.push(Group { steps: Vec::new(), inputs: HashSet::new(), outputs: 0, open });
        }
        maker.extend(step.outputs.iter().map(|&output| (output, at)));
        let group = &mut groups[at];
        group.inputs.extend(step.inputs.iter().copied());
        group.outputs += step.outputs.len();
        group.steps.push(step);
    }
    groups
}

/// The steps of a group, of which the first has the dispatch of all.
fn joined(mut steps: Vec<Step<StepKernels>>) -> Vec<Step<StepKernels>> {
    if steps.len() > 1
        && let Some((dispatch, joint)) = dispatch(&steps)
    {
        steps.iter_mut().for_each(|step| step.code.dispatches.clear());
        steps[1..].iter_mut().for_each(|step| step.text.push_str(", in the dispatch above"));
        let first = &mut steps[0].code;
        (first.dispatches, first.joint) = (vec![dispatch], Some(joint));
    }
    steps
}

/// The dispatch of steps all of which have a region.
fn dispatch(steps: &[Step<StepKernels>]) -> Option<(Dispatch, Joint)> {
    let mut joint = Joint { inputs: Vec::new(), outputs: Vec::new(), steps: steps.len() };
    let mut number: HashMap<NodeId, usize> = HashMap::new();
    let segment = |step: &Step<StepKernels>| {
        let read = |&input: &NodeId| {
            Operand::Input(*number.entry(input).or_insert_with(|| {
                joint.inputs.push(input);
                joint.inputs.len() - 1
            }))
        };
        let inputs = step.inputs.iter().map(read).collect();
        let first = joint.outputs.len();
        joint.outputs.extend(&step.outputs);
        (inputs, (first..joint.outputs.len()).map(Operand::Output).collect())
    };
    let bound: Vec<(Vec<Operand>, Vec<Operand>)> = steps.iter().map(segment).collect();
    let segment = |(step, (inputs, outputs))| Some(Segment { region: region(step)?, inputs, outputs });
    let segments: Vec<Segment> = steps.iter().zip(bound).map(segment).collect::<Option<_>>()?;
    Some((segments::dispatch(&segments), joint))
}
