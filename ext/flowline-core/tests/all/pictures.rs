//! Checks of pictures that hold for any graph: nothing overlaps, nothing is left out, no picture is too large to be read,
//! and text stays text.

use flowline_core::diagram::{Diagram, Edge, Group, Node, State};
use std::collections::BTreeSet;

/// splitmix64 (Steele, Lea & Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    /// Steps in groups that are runs of steps, as nested pipelines are, or any steps, which no frame can show.
    fn diagram(&mut self) -> Diagram {
        let most = if self.below(4) == 0 { 400 } else { 30 };
        let count = 1 + self.below(most);
        let groups: Vec<Group> = (0..self.below(6))
            .map(|index| Group {
                label: format!("g{index}"),
                parent: Some(self.below(index + 2)).filter(|parent| *parent < index),
            })
            .collect();
        let in_runs = self.below(3) > 0;
        let mut nodes = Vec::new();
        for index in 0..count {
            let group =
                if in_runs { index * (groups.len() + 1) / count } else { self.below(groups.len() + 1) };
            let name = format!("n{index}{}", "_".repeat(self.below(9)));
            let state = (self.below(3) == 0).then(|| State::ALL[self.below(10)]);
            let group = Some(group).filter(|group| *group < groups.len());
            nodes.push(Node {
                label: name.clone(),
                name,
                group,
                state,
                many: self.below(9) == 0,
                ..Node::default()
            });
        }
        let (reach, most) = (1 + self.below(count), self.below(4));
        let mut edges = Vec::new();
        for to in 1..count {
            let from: BTreeSet<usize> =
                (0..self.below(most + 1)).map(|_| to - 1 - self.below(reach.min(to))).collect();
            edges.extend(from.into_iter().map(|from| Edge {
                from,
                to,
                label: (from % 9 == 1).then(|| "Array".to_owned()),
            }));
        }
        Diagram { nodes, edges, groups }
    }
}

fn plain(count: usize, edges: impl Iterator<Item = (usize, usize)>) -> Diagram {
    let node = |index: usize| Node {
        name: format!("step_{index}"),
        label: format!("step_{index}"),
        ..Node::default()
    };
    let edges = edges.map(|(from, to)| Edge { from, to, label: None }).collect();
    Diagram { nodes: (0..count).map(node).collect(), edges, groups: Vec::new() }
}

type Rectangle = [i64; 4];
/// From, to, and through which points.
type Line = (usize, usize, Vec<(i64, i64)>);

/// A picture as a reader of its JSON has it.
struct Picture {
    size: (i64, i64),
    boxes: Vec<(Vec<usize>, Rectangle)>,
    frames: Vec<(usize, Option<usize>, Rectangle)>,
    lines: Vec<Line>,
}

/// The numbers after a key, up to the next letter.
fn number(text: &str, key: &str) -> Option<i64> {
    let text = &text[text.find(&format!("\"{key}\":"))? + key.len() + 3..];
    text[..text.find(|char: char| !char.is_ascii_digit() && char != '-').unwrap_or(text.len())].parse().ok()
}

fn rectangle(text: &str) -> Option<Rectangle> {
    Some([number(text, "x")?, number(text, "y")?, number(text, "width")?, number(text, "height")?])
}

impl Picture {
    fn new(json: &str) -> Self {
        let lines: Vec<&str> = json.lines().collect();
        let items =
            |line: &str, start: &str| line.split(start).skip(1).map(str::to_owned).collect::<Vec<String>>();
        let steps = |text: &str| {
            let list = &text[text.find("\"steps\":[").unwrap() + 9..];
            list[..list.find(']').unwrap()].split(',').map(|step| step.parse().unwrap()).collect()
        };
        let points = |text: &str| {
            let list = text[text.find("\"points\":[[").unwrap() + 11..].split("]]").next().unwrap();
            let pair = |text: &str| {
                text.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap()
            };
            list.split("],[").map(pair).collect()
        };
        let end = |text: &str, key: &str| usize::try_from(number(text, key).unwrap()).unwrap();
        Self {
            size: (number(lines[0], "width").unwrap(), number(lines[0], "height").unwrap()),
            frames: items(lines[2], "{\"label\"")
                .iter()
                .enumerate()
                .filter_map(|(index, text)| {
                    let parent = number(text, "parent").map(|parent| usize::try_from(parent).unwrap());
                    Some((index, parent, rectangle(text)?))
                })
                .collect(),
            boxes: items(lines[3], "{\"kind\"")
                .iter()
                .map(|text| (steps(text), rectangle(text).unwrap()))
                .collect(),
            lines: items(lines[4], "{\"from\"")
                .iter()
                .map(|text| format!("\"from\"{text}"))
                .map(|text| (end(&text, "from"), end(&text, "to"), points(&text)))
                .collect(),
        }
    }
}

fn overlap(one: &Rectangle, other: &Rectangle) -> bool {
    let along = |at: usize| one[at] < other[at] + other[at + 2] && other[at] < one[at] + one[at + 2];
    along(0) && along(1)
}

fn within(inner: &Rectangle, outer: &Rectangle) -> bool {
    (0..2).all(|at| outer[at] <= inner[at] && inner[at] + inner[at + 2] <= outer[at] + outer[at + 2])
}

/// Checks everything that holds for any picture.
fn check(diagram: &Diagram, picture: &Picture, seed: u64) {
    let whole = [0, 0, picture.size.0, picture.size.1];
    let members: Vec<usize> = picture.boxes.iter().flat_map(|(members, _)| members.clone()).collect();
    assert_eq!(members.len(), diagram.nodes.len(), "seed {seed}");
    assert_eq!(
        members.iter().collect::<BTreeSet<_>>().len(),
        diagram.nodes.len(),
        "a step is shown twice, seed {seed}"
    );
    for (index, (members, at)) in picture.boxes.iter().enumerate() {
        assert!(within(at, &whole), "box {index} is outside, seed {seed}");
        for (other, (_, second)) in picture.boxes.iter().enumerate().skip(index + 1) {
            assert!(!overlap(at, second), "boxes {index} and {other} overlap, seed {seed}");
        }
        for (group, _, frame) in &picture.frames {
            let mut next = diagram.nodes[members[0]].group;
            let mut inside = false;
            while let Some(outer) = next {
                inside |= outer == *group;
                next = diagram.groups[outer].parent;
            }
            if overlap(at, frame) {
                assert!(inside && within(at, frame), "box {index} is in frame {group}, seed {seed}");
            }
        }
    }
    for (group, parent, frame) in &picture.frames {
        assert!(within(frame, &whole), "frame {group} is outside, seed {seed}");
        for (other, above, second) in picture.frames.iter().filter(|(other, ..)| other > group) {
            if overlap(frame, second) {
                assert!(within(second, frame), "frames {group} and {other} overlap, seed {seed}");
                assert!(above.is_some() || parent.is_some(), "frame {other} is in {group}, seed {seed}");
            }
        }
    }
    let mut owner = vec![0; diagram.nodes.len()];
    for (index, (members, _)) in picture.boxes.iter().enumerate() {
        members.iter().for_each(|&member| owner[member] = index);
    }
    let edges: BTreeSet<(usize, usize)> = diagram
        .edges
        .iter()
        .map(|edge| (owner[edge.from], owner[edge.to]))
        .filter(|(from, to)| from != to)
        .collect();
    let drawn: BTreeSet<(usize, usize)> = picture.lines.iter().map(|(from, to, _)| (*from, *to)).collect();
    assert_eq!(drawn, edges, "seed {seed}");
    for (from, to, points) in &picture.lines {
        let ([x, y, width, height], [to_x, to_y, to_width, _]) =
            (picture.boxes[*from].1, picture.boxes[*to].1);
        let (first, last) = (points[0], points[points.len() - 1]);
        assert_eq!(first, (x + width / 2, y + height), "seed {seed}: where {from} → {to} begins");
        assert_eq!(last, (to_x + to_width / 2, to_y), "seed {seed}: where {from} → {to} ends");
        assert!(
            points.windows(2).all(|pair| pair[0].1 <= pair[1].1),
            "seed {seed}: {from} → {to} leads upwards"
        );
        for pair in points.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 + 2 < pair[1].1) {
            let line = [pair[0].0, pair[0].1 + 1, 1, pair[1].1 - pair[0].1 - 2];
            let hit = picture.boxes.iter().position(|(_, at)| overlap(&line, at));
            assert_eq!(hit, None, "seed {seed}: {from} → {to} leads through a box");
        }
    }
}

#[test]
fn pictures_of_any_graph_are_whole() {
    for seed in 0..300 {
        let diagram = Random(seed).diagram();
        let json = diagram.json(false).unwrap();
        check(&diagram, &Picture::new(&json), seed);
        assert_eq!(diagram.json(false).unwrap(), json, "seed {seed}");
    }
}

#[test]
fn folded_pictures_fit_on_a_screen() {
    let mut diagrams: Vec<Diagram> = (0..200).map(|seed| Random(seed).diagram()).collect();
    diagrams.extend([
        plain(1, std::iter::empty()),
        plain(5_000, std::iter::empty()),
        plain(3_000, (1..3_000).map(|to| (to - 1, to))),
        plain(3_002, (1..=3_000).flat_map(|middle| [(0, middle), (middle, 3_001)])),
        plain(200, (0..100).flat_map(|from| (100..200).map(move |to| (from, to)))),
        plain(2_047, (1..2_047).map(|to| ((to - 1) / 2, to))),
        plain(400, (1..400).flat_map(|to| (0..to.min(7)).map(move |back| (to - 1 - back, to)))),
    ]);
    for (seed, diagram) in (0..).zip(&diagrams) {
        let json = diagram.json(true).unwrap();
        let picture = Picture::new(&json);
        check(diagram, &picture, seed);
        assert!(picture.boxes.len() <= 200, "seed {seed}: {} boxes", picture.boxes.len());
        let (width, height) = picture.size;
        assert!(width <= 3 * height && height <= 3 * width, "seed {seed}: {width}×{height}");
        assert_eq!(diagram.json(true).unwrap(), json, "seed {seed}");
    }
}

#[test]
fn small_graphs_are_not_folded() {
    let chain = plain(20, (1..20).map(|to| (to - 1, to)));
    let fan = plain(8, (1..7).flat_map(|middle| [(0, middle), (middle, 7)]));
    for diagram in [chain, fan] {
        assert_eq!(Picture::new(&diagram.json(true).unwrap()).boxes.len(), diagram.nodes.len());
    }
}

#[test]
fn folds_say_what_is_in_them() {
    let fan = plain(42, (1..=40).flat_map(|middle| [(0, middle), (middle, 41)]));
    assert!(fan.svg().contains(">step_* ×40</text>"), "{}", fan.svg());
    let chain = plain(100, (1..100).map(|to| (to - 1, to)));
    assert!(
        chain.svg().contains(">98 steps</text>") && chain.svg().contains(">step_1 … step_98</text>"),
        "{}",
        chain.svg()
    );
    let branches = plain(
        122,
        (0..40).flat_map(|at| {
            [(0, 1 + 3 * at), (1 + 3 * at, 2 + 3 * at), (2 + 3 * at, 3 + 3 * at), (3 + 3 * at, 121)]
        }),
    );
    assert!(branches.svg().contains(">120 steps</text>"), "{}", branches.svg());
}

#[test]
fn what_failed_is_not_folded_with_what_did_not() {
    let mut fan = plain(42, (1..=40).flat_map(|middle| [(0, middle), (middle, 41)]));
    fan.nodes.iter_mut().for_each(|node| node.state = Some(State::Succeeded));
    fan.nodes[7].state = Some(State::Failed);
    let svg = fan.svg();
    assert!(svg.contains("class=\"step failed\"") && svg.contains(">step_7</text>"), "{svg}");
    assert!(svg.contains(">step_* ×39</text>") && svg.contains("39 succeeded"), "{svg}");
}

#[test]
fn each_fold_has_a_sheet_that_shows_its_steps() {
    let fan = plain(42, (1..=40).flat_map(|middle| [(0, middle), (middle, 41)]));
    let sheets = fan.sheets(1_000);
    assert_eq!(sheets.len(), 2);
    assert!(sheets[0].svg.contains("<a class=\"step fold\" href=\"#sheet-1\">"), "{}", sheets[0].svg);
    assert_eq!((sheets[1].title.as_str(), sheets[1].parent), ("step_* ×40", 0));
    assert_eq!(sheets[1].members, (1..=40).collect::<Vec<_>>());
    assert_eq!(sheets[1].svg.matches("class=\"step\"").count(), 40);
    assert_eq!(fan.sheets(10).len(), 1);
    let many = plain(5_000, std::iter::empty()).sheets(20_000);
    let shown: BTreeSet<usize> = many
        .iter()
        .filter(|sheet| !sheet.svg.contains(" fold\""))
        .flat_map(|sheet| sheet.members.clone())
        .collect();
    assert!(many.len() > 20 && shown.len() == 5_000, "{} sheets, {} steps", many.len(), shown.len());
}

#[test]
fn hostile_names_stay_text() {
    let names = [
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "' onload='x".to_owned(),
        "a&amp;b]]>".to_owned(),
        "\u{202e}gnirts\u{2028}\u{200b}".to_owned(),
        "\u{0}\u{1}\u{8}\u{b}\u{1b}[31m\u{7f}\u{85}\u{fffe}".to_owned(),
        "x".repeat(10_000),
        "日本語🎉".repeat(2_000),
        "עברית".to_owned(),
        String::new(),
    ];
    let mut diagram = plain(names.len(), (1..names.len()).map(|to| (to - 1, to)));
    diagram.groups.push(Group { label: names[1].clone(), parent: None });
    for (node, name) in diagram.nodes.iter_mut().zip(&names) {
        (node.name, node.label, node.group) = (name.clone(), name.clone(), Some(0));
        (node.title, node.note, node.link) = (Some(name.clone()), Some(name.clone()), Some(name.clone()));
    }
    let svg = diagram.svg();
    assert!(svg.len() < 60_000, "{} bytes", svg.len());
    let tags: BTreeSet<&str> = svg
        .split('<')
        .skip(1)
        .map(|tag| tag.split([' ', '>', '/']).find(|name| !name.is_empty()).unwrap())
        .collect();
    assert_eq!(tags, BTreeSet::from(["svg", "g", "rect", "text", "path", "a", "title"]));
    let harmless = |char: char| {
        char == '\n'
            || !(char.is_control()
                || ('\u{200b}'..='\u{200f}').contains(&char)
                || ('\u{2028}'..='\u{202e}').contains(&char))
    };
    assert!(svg.chars().all(harmless), "{svg}");
    assert_eq!(svg.matches("onerror").count(), svg.matches("&lt;img src=x onerror").count());
    let json = diagram.json(true).unwrap();
    assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{0}']), "{json}");
    assert!(json.contains("\\u003cscript\\u003e"), "{json}");
}

#[test]
fn what_does_not_exist_is_not_in_a_picture() {
    let empty = Diagram::default();
    assert!(empty.svg().starts_with("<svg ") && empty.json(true).unwrap().contains("\"boxes\":[]"));
    let mut odd = plain(3, [(0, 1), (1, 2), (2, 0), (7, 1), (0, 9), (1, 1)].into_iter());
    odd.nodes[0].group = Some(5);
    let picture = Picture::new(&odd.json(true).unwrap());
    assert_eq!((picture.boxes.len(), picture.lines.len()), (3, 0));
    let deep: Vec<Group> = (0..50_000)
        .map(|group: usize| Group { label: "g".to_owned(), parent: group.checked_sub(1) })
        .collect();
    let mut nested = plain(2, [(0, 1)].into_iter());
    (nested.groups, nested.nodes[1].group) = (deep, Some(49_999));
    assert_eq!(Picture::new(&nested.json(true).unwrap()).boxes.len(), 2);
}
