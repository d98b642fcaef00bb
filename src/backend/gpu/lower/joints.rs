//! Steps that share a dispatch. A dispatch costs the device the time until the one before is done, and the host a command: of
//! small ones that is all that they cost. So regions that read nothing of each other run as segments of one dispatch: the
//! updates of many weights, moving statistics, and what is computed of single numbers.

use super::StepKernels;
use super::segments;
use crate::fusion::region::Region;
use crate::graph::NodeId;
use crate::schedule::{Schedule, Step};
use std::collections::HashMap;

/// The most elements of a region that is computed sooner than it has to be to share a dispatch. Larger ones fill a device by
/// themselves, and would take memory for longer.
const SMALL: usize = 1 << 16;

/// What the dispatches of several steps compute. How many there are follows from where tensors lie.
pub struct Joint {
    /// What each step computes, this one and those behind it, which have no dispatches of their own.
    pub members: Vec<Member>,
}

/// A region with the values that it reads and makes.
pub struct Member {
    /// What is computed.
    pub region: Region,
    /// By operand.
    pub inputs: Vec<NodeId>,
    /// By store.
    pub outputs: Vec<NodeId>,
}

/// Steps that share dispatches, or one that does not.
struct Group {
    steps: Vec<Step<StepKernels>>,
    open: bool,
}

/// The region of a step that may share a dispatch.
fn region(step: &Step<StepKernels>) -> Option<&Region> {
    let alone = step.copies_output.is_none() && step.code.dispatches.len() == 1;
    step.code.region.as_ref().filter(|region| alone && segments::fits(region))
}

/// Has steps of `schedule` share dispatches. Steps move forward to those that they join; those that commit stay behind all
/// others.
pub fn join(schedule: &mut Schedule<StepKernels>) {
    let commits = schedule.steps.split_off(schedule.commit_from);
    let steps = std::mem::take(&mut schedule.steps);
    for (steps, most) in [(steps, SMALL), (commits, usize::MAX)] {
        for group in grouped(steps, most) {
            schedule.steps.extend(joined(group.steps));
        }
    }
}

/// Groups in the order in which they run. Each step runs behind what makes its inputs.
fn grouped(steps: Vec<Step<StepKernels>>, most: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut maker: HashMap<NodeId, usize> = HashMap::new();
    for step in steps {
        let ready = step.inputs.iter().filter_map(|input| maker.get(input)).map(|&group| group + 1).max().unwrap_or(0);
        let open = region(&step).is_some_and(|region| region.shape.len() <= most);
        // The last one: values live as short as possible.
        let found = (ready..groups.len()).rev().find(|&k| open && groups[k].open);
        let at = found.unwrap_or(groups.len());
        if found.is_none() {
            groups.push(Group { steps: Vec::new(), open });
        }
        maker.extend(step.outputs.iter().map(|&output| (output, at)));
        groups[at].steps.push(step);
    }
    groups
}

/// The steps of a group, of which the first has the dispatches of all.
fn joined(mut steps: Vec<Step<StepKernels>>) -> Vec<Step<StepKernels>> {
    if steps.len() < 2 {
        return steps;
    }
    let member = |step: &mut Step<StepKernels>| {
        step.code.dispatches.clear();
        let region = step.code.region.take()?;
        Some(Member { region, inputs: step.inputs.clone(), outputs: step.outputs.clone() })
    };
    let members = steps.iter_mut().filter_map(member).collect();
    steps[1..].iter_mut().for_each(|step| step.text.push_str(", in the dispatch above"));
    steps[0].code.joint = Some(Joint { members });
    steps
}
