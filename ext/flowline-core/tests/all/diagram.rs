//! Checks how the diagrams look, and that no drawing shows an edge that the graph does not have.

use flowline_core::diagram::{Diagram, Edge, Group, Node};
use std::collections::BTreeSet;

/// `"a b > c.d : Array"`, one per line: `a` and `b` lead to the step `d` in the group `c`.
fn diagram(text: &str) -> Diagram {
    let mut diagram = Diagram::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (chain, label) =
            line.split_once(" : ").map_or((line, None), |(chain, label)| (chain, Some(label)));
        let stages: Vec<Vec<usize>> = chain
            .split('>')
            .map(|stage| stage.split_whitespace().map(|name| step(&mut diagram, name)).collect())
            .collect();
        for pair in stages.windows(2) {
            for (&from, &to) in pair[0].iter().flat_map(|from| pair[1].iter().map(move |to| (from, to))) {
                diagram.edges.push(Edge { from, to, label: label.map(str::to_owned) });
            }
        }
    }
    diagram.edges.sort_by_key(|edge| edge.to);
    diagram
}

fn step(diagram: &mut Diagram, name: &str) -> usize {
    if let Some(index) = diagram.nodes.iter().position(|node| node.name == name) {
        return index;
    }
    let mut parts: Vec<&str> = name.split('.').collect();
    let label = parts.pop().unwrap().to_owned();
    let mut group = None;
    for part in parts {
        let known = diagram.groups.iter().position(|other| other.label == part && other.parent == group);
        group = known.or_else(|| {
            diagram.groups.push(Group { label: part.to_owned(), parent: group });
            Some(diagram.groups.len() - 1)
        });
    }
    diagram.nodes.push(Node { name: name.to_owned(), label, group, ..Node::default() });
    diagram.nodes.len() - 1
}

/// A step by name alone, whatever characters it has.
fn named(names: &[&str]) -> Diagram {
    let node = |name: &&str| Node { name: (*name).to_owned(), label: (*name).to_owned(), ..Node::default() };
    Diagram { nodes: names.iter().map(node).collect(), ..Diagram::default() }
}

#[track_caller]
fn assert_draws(text: &str, drawing: &str) {
    let drawn = diagram(text).ascii().unwrap();
    let wanted = drawing.strip_prefix('\n').unwrap();
    assert!(drawn == wanted, "drawn:\n{drawn}\nwanted:\n{wanted}");
}

#[test]
fn mermaid_lists_the_edges_right_away() {
    assert_eq!(
        diagram("fetch > transform > load").mermaid(),
        "graph TD\n  fetch --> transform\n  transform --> load\n"
    );
    assert_eq!(Diagram::default().mermaid(), "graph TD\n");
    assert_eq!(diagram("alone \n a > b : Array").mermaid(), "graph TD\n  a -->|\"Array\"| b\n  alone\n");
}

#[test]
fn mermaid_replaces_unsafe_names() {
    let mut diagram = named(&["odd \"name\"", "End", "s1", "graph", "ok"]);
    for (from, to) in [(4, 0), (0, 1), (1, 2), (0, 2)] {
        diagram.edges.push(Edge { from, to, label: None });
    }
    let wanted = r##"graph TD
  ok --> s0["odd #quot;name#quot;"]
  s0 --> s1_["End"]
  s1_ --> s1
  s0 --> s1
  s3["graph"]
"##;
    assert_eq!(diagram.mermaid(), wanted);
}

#[test]
fn mermaid_escapes_what_it_would_interpret() {
    let escaped = |name: &str| {
        let text = named(&[name]).mermaid();
        text.trim().strip_prefix("graph TD\n  s0[\"").unwrap().strip_suffix("\"]").unwrap().to_owned()
    };
    assert_eq!(escaped("a#b;c<d>e&f`g`"), "a#35;b#59;c#60;d#62;e#38;f#96;g#96;");
    assert_eq!(escaped("%%{x}%%"), "#37;#37;#123;x#125;#37;#37;");
    assert_eq!(escaped(r"a\nb"), "a#92;nb");
    assert_eq!(escaped("1. x"), "1#46; x");
    assert_eq!(escaped("fetch-all v1.2"), "fetch-all v1.2");
    assert_eq!(escaped("direction LR"), "direction#32;LR");
    assert_eq!(escaped("日本"), "日本");
    assert_eq!(escaped(""), " ");
}

#[test]
fn mermaid_nests_groups_before_the_edges() {
    let wanted = r#"graph TD
  subgraph g0 ["clean"]
    s1["trim"]
    subgraph g1 ["deep"]
      s2["check"]
    end
  end
  a --> s1
  s1 --> s2
"#;
    assert_eq!(diagram("a > clean.trim > clean.deep.check").mermaid(), wanted);
}

#[test]
fn dot_quotes_every_name() {
    let wanted = r#"digraph {
  node [shape=box];
  "a";
  subgraph cluster_0 {
    label="clean";
    "clean.trim" [label="trim"];
    subgraph cluster_1 {
      label="deep";
      "clean.deep.check" [label="check"];
    }
  }
  "a" -> "clean.trim" [label="Array"];
  "clean.trim" -> "clean.deep.check";
}
"#;
    assert_eq!(diagram("a > clean.trim : Array \n clean.trim > clean.deep.check").dot(), wanted);
    let odd = named(&["say \"hi\"", "back\\", "a&amp;b", "%x"]).dot();
    assert!(
        odd.contains("  \"say \\\"hi\\\"\";\n  \"back\\\\\";\n  \"a&amp;amp;b\";\n  \"&#37;x\";\n"),
        "{odd}"
    );
}

#[test]
fn a_chain_is_straight() {
    let drawing = "
  ┌───────┐
  │ fetch │
  └───┬───┘
      ▼
┌───────────┐
│ transform │
└─────┬─────┘
      ▼
  ┌──────┐
  │ load │
  └──────┘
";
    assert_draws("fetch > transform > load", drawing);
}

#[test]
fn a_single_step_is_a_box() {
    let drawing = "
┌─────┐
│ one │
└─────┘
";
    assert_draws("one", drawing);
}

#[test]
fn a_diamond_is_symmetric() {
    let drawing = "
    ┌───┐
    │ a │
    └─┬─┘
  ┌───┴──┐
  ▼      ▼
┌───┐  ┌───┐
│ b │  │ c │
└─┬─┘  └─┬─┘
  └───┬──┘
      ▼
    ┌───┐
    │ d │
    └─┬─┘
  ┌───┴──┐
  ▼      ▼
┌───┐  ┌───┐
│ e │  │ f │
└─┬─┘  └─┬─┘
  └──┬───┘
     ▼
   ┌───┐
   │ g │
   └───┘
";
    assert_draws("a > b c > d > e f > g", drawing);
}

#[test]
fn a_fan_has_a_line_of_its_own_straight_down() {
    let drawing = "
        ┌───────┐
        │ fetch │
        └─┬─┬─┬─┘
   ┌──────┘ │ └───────┐
   ▼        ▼         ▼
┌─────┐  ┌─────┐  ┌───────┐
│ one │  │ two │  │ three │
└──┬──┘  └──┬──┘  └───┬───┘
   └──────┐ │ ┌───────┘
          ▼ ▼ ▼
        ┌───────┐
        │ load  │
        └───────┘
";
    assert_draws("fetch > one two three > load", drawing);
}

#[test]
fn all_to_all_shares_one_line() {
    let drawing = "
   ┌─────┐  ┌─────┐  ┌─────┐
   │  a  │  │  b  │  │  c  │
   └──┬──┘  └──┬──┘  └──┬──┘
    ┌─┴────────┴┬───────┴─┐
    ▼           ▼         ▼
┌───────┐  ┌───────┐  ┌───────┐
│   x   │  │   y   │  │   z   │
└───────┘  └───────┘  └───────┘
";
    assert_draws("a b c > x y z", drawing);
}

#[test]
fn a_long_edge_passes_beside_the_steps() {
    let drawing = "
  ┌───┐
  │ a │
  └─┬─┘
  ┌─┴─┐
  ▼   │
┌───┐ │
│ b │ │
└─┬─┘ │
  ▼   │
┌───┐ │
│ c │ │
└─┬─┘ │
  └─┬─┘
    ▼
  ┌───┐
  │ d │
  └───┘
";
    assert_draws("a > b > c > d \n a > d", drawing);
}

#[test]
fn crossing_lines_do_not_join() {
    let drawing = "
   ┌───┐  ┌───┐  ┌───┐
   │ a │  │ c │  │ b │
   └─┬─┘  └─┬─┘  └─┬─┘
    ┌┼──────┴──────┼┐
  ┌─┼┴─────┐ ┌─────┴┼─┐
  ▼ ▼      ▼ ▼      ▼ ▼
┌─────┐  ┌─────┐  ┌─────┐
│  x  │  │  y  │  │  z  │
└─────┘  └─────┘  └─────┘
";
    assert_draws("a > x y \n b > y z \n c > x z", drawing);
}

#[test]
fn parts_stand_side_by_side() {
    let drawing = "
┌───┐     ┌───┐  ┌──────┐
│ a │     │ c │  │ solo │
└─┬─┘     └─┬─┘  └──────┘
  │      ┌──┴───┐
  ▼      ▼      ▼
┌───┐  ┌───┐  ┌───┐
│ b │  │ d │  │ e │
└───┘  └───┘  └───┘
";
    assert_draws("a > b \n c > d e \n solo", drawing);
}

#[test]
fn a_pipeline_of_twelve_steps() {
    let drawing = "
                             ┌────────┐
                             │ config │
                             └────┬───┘
       ┌─────────────────┬────────┴─────────┬─────────┐
       ▼                 ▼                  ▼         │
   ┌───────┐        ┌────────┐        ┌──────────┐    │
   │ users │        │ orders │        │ products │    │
   └───┬───┘        └────┬───┘        └─────┬────┘    │
       ▼                 ▼                  ▼         │
┌─────────────┐  ┌──────────────┐  ┌────────────────┐ │
│ clean_users │  │ clean_orders │  │ clean_products │ │
└──────┬──────┘  └───────┬──────┘  └────────┬───────┘ │
       └─────────────────┤                  │         │
                         ▼                  │         │
                     ┌──────┐               │         │
                     │ join │               │         │
                     └───┬──┘               │         │
                         └────────────────┬─┘         │
                                          ▼           │
                                     ┌────────┐       │
                                     │ enrich │       │
                                     └────┬───┘       │
                                          ▼           │
                                    ┌───────────┐     │
                                    │ aggregate │     │
                                    └─────┬─────┘     │
                                    ┌─────┴─────┐     │
                                    ▼           ▼     │
                               ┌────────┐  ┌────────┐ │
                               │ report │  │ export │ │
                               └────┬───┘  └────────┘ │
                                    └────────┬────────┘
                                             ▼
                                        ┌────────┐
                                        │ notify │
                                        └────────┘
";
    assert_draws(
        "config > users orders products \n users > clean_users \n orders > clean_orders \n products > clean_products \n clean_users clean_orders > join \n clean_products join > enrich > aggregate > report export \n config report > notify",
        drawing,
    );
}

#[test]
fn a_nested_step_has_its_whole_name() {
    let drawing = "
                       ┌───────┐
                       │ fetch │
                       └─┬─┬─┬─┘
         ┌───────────────┘ │ └───────────┐
         ▼                 ▼             ▼
┌────────────────┐  ┌─────────────┐  ┌───────┐
│ clean.validate │  │ clean.strip │  │ audit │
└────────┬───────┘  └──────┬──────┘  └───┬───┘
         └─────────────────┤             │
                           ▼             │
                    ┌─────────────┐      │
                    │ clean.merge │      │
                    └──────┬──────┘      │
                           └──────┬──────┘
                                  ▼
                              ┌──────┐
                              │ load │
                              └──────┘
";
    assert_draws("fetch > clean.validate clean.strip > clean.merge > load \n fetch > audit > load", drawing);
}

#[test]
fn labels_stand_in_the_box_they_leave() {
    let drawing = "
 ┌─────────┐
 │    a    │
 │ → Array │
 └────┬────┘
      ▼
 ┌────────┐
 │   b    │
 │ → Hash │
 └────┬───┘
  ┌───┴──┐
  ▼      ▼
┌───┐  ┌───┐
│ c │  │ d │
└───┘  └───┘
";
    assert_draws("a > b : Array \n b > c : Hash \n b > d", drawing);
}

#[test]
fn wide_characters_take_two_columns() {
    let drawing = "
┌────────┐
│ 日本語 │
└────┬───┘
     ▼
┌────────┐
│ 変換🎉 │
└────┬───┘
     ▼
 ┌──────┐
 │ load │
 └──────┘
";
    assert_draws("日本語 > 変換🎉 > load", drawing);
}

/// Steps, all of one name, with edges by position.
fn numbered(count: usize, edges: impl Iterator<Item = (usize, usize)>) -> Diagram {
    let node = Node { name: "s".to_owned(), label: "s".to_owned(), ..Node::default() };
    let edges = edges.map(|(from, to)| Edge { from, to, label: None }).collect();
    Diagram { nodes: vec![node; count], edges, groups: Vec::new() }
}

#[test]
fn too_large_a_drawing_is_folded() {
    let chain = numbered(100_000, (1..100_000).map(|to| (to - 1, to))).ascii().unwrap();
    assert!(chain.contains("99998 steps") && chain.lines().count() < 20, "{chain}");
    let fan = numbered(10_002, (1..=10_000).flat_map(|mid| [(0, mid), (mid, 10_001)])).ascii().unwrap();
    assert!(fan.contains("s* ×10000") && fan.lines().count() < 20, "{fan}");
    let all = numbered(1000, (0..1000).flat_map(|to| (0..to).map(move |from| (from, to)))).ascii().unwrap();
    assert!(all.lines().count() < 2_000, "{all}");
    let long = "s".repeat(4_000_001);
    assert_eq!(named(&[&long]).ascii().unwrap().lines().nth(1).unwrap(), format!("│ {}… │", "s".repeat(29)));
}

#[test]
fn folded_steps_of_a_nested_pipeline_have_their_whole_names() {
    let mut diagram = numbered(6_000, (1..6_000).map(|to| (to - 1, to)));
    diagram.groups = (0..3_000).map(|group| Group { label: format!("g{group}"), parent: None }).collect();
    for (index, node) in diagram.nodes.iter_mut().enumerate() {
        (node.name, node.group) = (format!("g{}.s", index / 2), Some(index / 2));
    }
    let drawn = diagram.ascii().unwrap();
    assert!(drawn.contains("g0.s") || drawn.contains("steps"), "{drawn}");
    assert!(!drawn.contains("│ s │"), "{drawn}");
}

#[test]
fn size_is_no_depth() {
    let chain = numbered(4_000, (1..4_000).map(|to| (to - 1, to)));
    assert_eq!(chain.ascii().unwrap().lines().count(), 4 * 4_000 - 1);
    let fan = numbered(4_001, (1..=4_000).map(|to| (0, to))).ascii().unwrap();
    assert_eq!((fan.lines().count(), fan.matches('▼').count()), (8, 4_000));
    let cycle = numbered(3, (0..9).map(|edge| (edge / 3, edge % 3))).ascii().unwrap();
    assert_eq!((cycle.lines().count(), cycle.matches('▼').count()), (3, 0));
}

#[test]
fn what_does_not_exist_is_not_drawn() {
    assert_eq!(Diagram::default().ascii().unwrap(), "");
    let mut diagram = named(&["a", "b"]);
    diagram.edges = [(0, 7), (9, 1), (1, 1)].map(|(from, to)| Edge { from, to, label: None }).to_vec();
    diagram.nodes[0].group = Some(3);
    diagram.groups.push(Group { label: "empty".to_owned(), parent: Some(0) });
    assert_eq!(diagram.ascii().unwrap(), "┌───┐  ┌───┐\n│ a │  │ b │\n└───┘  └───┘\n");
}

/// The drawing alone, without the graph, as a reader sees it.
struct Picture {
    rows: Vec<Vec<char>>,
}

#[derive(Debug, Clone, Copy)]
struct Rectangle {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

impl Picture {
    fn at(&self, row: usize, column: usize) -> char {
        self.rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(' ')
    }

    fn find(&self, text: &str) -> (usize, usize) {
        let text: Vec<char> = text.chars().collect();
        let places = self.rows.iter().enumerate().flat_map(|(row, chars)| {
            chars
                .windows(text.len())
                .enumerate()
                .filter(|(_, part)| *part == text)
                .map(move |(column, _)| (row, column))
        });
        let places: Vec<_> = places.collect();
        assert_eq!(places.len(), 1, "{text:?}");
        places[0]
    }

    /// The box around a label, checked to be whole.
    fn boxed(&self, label: &str) -> Rectangle {
        let (row, column) = self.find(&format!(" {label} "));
        let left = (0..column + 1).rev().find(|&column| self.at(row, column) == '│').unwrap();
        let right = (column + 1..).find(|&column| self.at(row, column) == '│').unwrap();
        let border = |row: usize| (left..=right).map(|column| self.at(row, column)).collect::<String>();
        let inner = right - left - 1;
        assert_eq!(border(row - 1), format!("┌{}┐", "─".repeat(inner)), "{label}");
        assert_eq!(border(row + 1).replace('┬', "─"), format!("└{}┘", "─".repeat(inner)), "{label}");
        Rectangle { top: row - 1, bottom: row + 1, left, right }
    }

    /// The boxes a reader comes to who leaves a box at the bottom and follows its lines, never upwards,
    /// and straight on at a crossing; and the columns of the arrows.
    fn follow(&self, start: Rectangle, boxes: &[Rectangle]) -> BTreeSet<(usize, usize)> {
        let exits = (start.left..=start.right).filter(|&column| self.at(start.bottom, column) == '┬');
        let mut ways: Vec<(usize, usize, char)> =
            exits.map(|column| (start.bottom + 1, column, 'd')).collect();
        let mut seen = BTreeSet::new();
        let mut reached = BTreeSet::new();
        while let Some(way @ (row, column, heading)) = ways.pop() {
            if !seen.insert(way) {
                continue;
            }
            // Where the line goes on, besides up; and from where it can be come from.
            let (onwards, from) = match self.at(row, column) {
                '▼' => {
                    assert_eq!(heading, 'd');
                    let below = |index: &usize| {
                        boxes[*index].top == row + 1
                            && (boxes[*index].left + 1..boxes[*index].right).contains(&column)
                    };
                    reached.insert(((0..boxes.len()).find(below).unwrap(), column));
                    continue;
                }
                '│' => ("d", "d"),
                '─' => ("lr", "lr"),
                '┘' => ("l", "dr"),
                '└' => ("r", "dl"),
                '┐' => ("d", "r"),
                '┌' => ("d", "l"),
                '┤' => ("dl", "dr"),
                '├' => ("dr", "dl"),
                '┴' => ("lr", "dlr"),
                '┬' => ("dlr", "lr"),
                '┼' => ("dlr", "dlr"),
                other => panic!("a line ends in {other:?} at row {row}, column {column}"),
            };
            assert!(from.contains(heading), "a line does not connect at row {row}, column {column}");
            for next in onwards.chars() {
                let back = matches!((heading, next), ('l', 'r') | ('r', 'l'));
                let turns = self.at(row, column) == '┼' && next != heading;
                if !back && !turns {
                    ways.push(match next {
                        'd' => (row + 1, column, 'd'),
                        'l' => (row, column - 1, 'l'),
                        _ => (row, column + 1, 'r'),
                    });
                }
            }
        }
        reached
    }
}

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

    fn diagram(&mut self) -> Diagram {
        let groups: Vec<Group> = (0..self.below(5))
            .map(|index| Group {
                label: format!("g{}", "x".repeat(index * 3)),
                parent: Some(self.below(index + 2)).filter(|parent| *parent < index),
            })
            .collect();
        let nodes: Vec<Node> = (0..=self.below(14))
            .map(|index| {
                let name = format!("n{index}{}", "_".repeat(self.below(3) * self.below(6)));
                let group = Some(self.below(groups.len() + 2)).filter(|group| *group < groups.len());
                Node { label: name.clone(), name, group, ..Node::default() }
            })
            .collect();
        let density = 1 + self.below(9);
        let mut edges = Vec::new();
        for to in 0..nodes.len() {
            let from = (0..to).filter(|_| self.below(10) < density.min(1 + self.below(10)));
            edges.extend(from.collect::<Vec<_>>().into_iter().map(|from| Edge { from, to, label: None }));
        }
        edges.extend(edges.last().cloned()); // Twice the same says no more than once.
        Diagram { nodes, edges, groups }
    }
}

#[test]
fn a_drawing_shows_exactly_the_graph() {
    for seed in 0..4000 {
        let diagram = Random(seed).diagram();
        let drawing = diagram.ascii().unwrap();
        assert_eq!(diagram.ascii().unwrap(), drawing, "seed {seed}");
        println!("seed {seed}\n{drawing}");
        let picture = Picture { rows: drawing.lines().map(|line| line.chars().collect()).collect() };
        let boxes: Vec<Rectangle> = diagram.nodes.iter().map(|node| picture.boxed(&node.name)).collect();
        let mut arrows = BTreeSet::new();
        for (index, &start) in boxes.iter().enumerate() {
            let reached = picture.follow(start, &boxes);
            let edges: BTreeSet<usize> =
                diagram.edges.iter().filter(|edge| edge.from == index).map(|edge| edge.to).collect();
            assert_eq!(
                reached.iter().map(|(to, _)| *to).collect::<BTreeSet<_>>(),
                edges,
                "from {index}, seed {seed}"
            );
            arrows.extend(reached);
        }
        assert_eq!(arrows.len(), drawing.matches('▼').count(), "an arrow from nowhere, seed {seed}");
    }
}
