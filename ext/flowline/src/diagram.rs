//! `Flowline::Native.mermaid`, `.dot`, `.ascii`, `.svg`, `.sheets` and `.diagram_json`: diagrams of plain data.
use flowline_core::diagram::{Diagram, Edge, Group, Node, Sheet, State};
use magnus::{Error, Object, RArray, RModule, Ruby, Symbol, TryConvert, function};

use crate::error;

pub fn init(native: RModule) -> Result<(), Error> {
    native.define_singleton_method("mermaid", function!(mermaid, 3))?;
    native.define_singleton_method("dot", function!(dot, 3))?;
    native.define_singleton_method("ascii", function!(ascii, 3))?;
    native.define_singleton_method("svg", function!(svg, 4))?;
    native.define_singleton_method("sheets", function!(sheets, 4))?;
    native.define_singleton_method("diagram_json", function!(json, 4))
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

/// Takes the same, with nodes as `[name, label, group, state, note, title, link, many]`, and whether to fold.
fn svg(ruby: &Ruby, nodes: RArray, edges: RArray, groups: RArray, folded: bool) -> Result<String, Error> {
    let diagram = picture(ruby, nodes, edges, groups)?;
    if folded { Ok(diagram.svg()) } else { diagram.whole_svg().map_err(|e| error::raise(ruby, &e)) }
}

fn json(ruby: &Ruby, nodes: RArray, edges: RArray, groups: RArray, folded: bool) -> Result<String, Error> {
    picture(ruby, nodes, edges, groups)?.json(folded).map_err(|e| error::raise(ruby, &e))
}

/// Returns `[[svg, title, parent, members], …]`; `budget` is the most steps on sheets for folds.
fn sheets(ruby: &Ruby, nodes: RArray, edges: RArray, groups: RArray, budget: usize) -> Result<RArray, Error> {
    let sheets = picture(ruby, nodes, edges, groups)?.sheets(budget);
    let rows = sheets.into_iter().map(|Sheet { title, parent, svg, members }| (svg, title, parent, members));
    let array = ruby.ary_new();
    rows.into_iter().try_for_each(|row| array.push(row))?;
    Ok(array)
}

fn diagram(nodes: RArray, edges: RArray, groups: RArray) -> Result<Diagram, Error> {
    let node = |(name, label, group)| Node { name, label, group, ..Node::default() };
    rest(each(nodes, node)?, edges, groups)
}

type Fields =
    (String, String, Option<usize>, Option<Symbol>, Option<String>, Option<String>, Option<String>, bool);

fn picture(ruby: &Ruby, nodes: RArray, edges: RArray, groups: RArray) -> Result<Diagram, Error> {
    let node = |(name, label, group, state, note, title, link, many): Fields| {
        let state = state.map(|state| self::state(ruby, state)).transpose()?;
        Ok(Node { name, label, group, state, note, title, link, many })
    };
    rest(each(nodes, node)?.into_iter().collect::<Result<_, Error>>()?, edges, groups)
}

fn rest(nodes: Vec<Node>, edges: RArray, groups: RArray) -> Result<Diagram, Error> {
    let edge = |(from, to, label)| Edge { from, to, label };
    let group = |(label, parent)| Group { label, parent };
    Ok(Diagram { nodes, edges: each(edges, edge)?, groups: each(groups, group)? })
}

fn state(ruby: &Ruby, symbol: Symbol) -> Result<State, Error> {
    let name = symbol.name()?;
    let known = State::ALL.into_iter().find(|state| state.name() == name);
    known.ok_or_else(|| Error::new(ruby.exception_arg_error(), format!("unknown state {name}")))
}

fn each<T: TryConvert, U>(array: RArray, convert: impl Fn(T) -> U) -> Result<Vec<U>, Error> {
    (0..array.len() as isize).map(|position| array.entry(position).map(&convert)).collect()
}
