//! `Flowline::Native.mermaid`, `.dot` and `.ascii`: diagrams of plain data.
use flowline_core::diagram::{Diagram, Edge, Group, Node};
use magnus::{Error, Object, RArray, RModule, Ruby, TryConvert, function};

use crate::error;

pub fn init(native: RModule) -> Result<(), Error> {
    native.define_singleton_method("mermaid", function!(mermaid, 3))?;
    native.define_singleton_method("dot", function!(dot, 3))?;
    native.define_singleton_method("ascii", function!(ascii, 3))
}

/// Each takes `(nodes: Array<[name, label, group or nil]>, edges: Array<[from, to, label or nil]>,
/// groups: Array<[label, parent or nil]>)` and returns a String.
fn mermaid(nodes: RArray, edges: RArray, groups: RArray) -> Result<String, Error> {
    Ok(diagram(nodes, edges, groups)?.mermaid())
}

fn dot(nodes: RArray, edges: RArray, groups: RArray) -> Result<String, Error> {
    Ok(diagram(nodes, edges, groups)?.dot())
}

fn ascii(ruby: &Ruby, nodes: RArray, edges: RArray, groups: RArray) -> Result<String, Error> {
    diagram(nodes, edges, groups)?.ascii().map_err(|e| error::raise(ruby, &e))
}

fn diagram(nodes: RArray, edges: RArray, groups: RArray) -> Result<Diagram, Error> {
    let node = |(name, label, group)| Node { name, label, group };
    let edge = |(from, to, label)| Edge { from, to, label };
    let group = |(label, parent)| Group { label, parent };
    Ok(Diagram { nodes: each(nodes, node)?, edges: each(edges, edge)?, groups: each(groups, group)? })
}

fn each<T: TryConvert, U>(array: RArray, convert: impl Fn(T) -> U) -> Result<Vec<U>, Error> {
    (0..array.len() as isize).map(|position| array.entry(position).map(&convert)).collect()
}
