//! Routes through a road network, its components and its spanning tree.

use fastrand::Rng;
use petgraph::algo::{astar, dijkstra, min_spanning_tree, tarjan_scc};
use petgraph::data::FromElements;
use petgraph::graph::{DiGraph, NodeIndex, UnGraph};
use petgraph::visit::{Bfs, EdgeRef};
use std::collections::{BinaryHeap, HashMap, VecDeque};

const SIDE: usize = 45;

fn network(rng: &mut Rng) -> DiGraph<(f32, f32), u32> {
    let mut graph = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..SIDE * SIDE)
        .map(|index| {
            let (x, y) = ((index % SIDE) as f32, (index / SIDE) as f32);
            graph.add_node((x + rng.f32() * 0.4, y + rng.f32() * 0.4))
        })
        .collect();
    for y in 0..SIDE {
        for x in 0..SIDE {
            for (right, down) in [(1, 0), (0, 1)] {
                if x + right < SIDE && y + down < SIDE && rng.u8(..10) > 0 {
                    let (from, to) = (nodes[y * SIDE + x], nodes[(y + down) * SIDE + x + right]);
                    graph.add_edge(from, to, rng.u32(10..30));
                    graph.add_edge(to, from, rng.u32(10..30));
                }
            }
        }
    }
    graph
}

/// The usual hand-written search: a heap of partial routes, each with its own list of places.
fn scenic_route(
    graph: &DiGraph<(f32, f32), u32>,
    from: NodeIndex,
    to: NodeIndex,
) -> Vec<NodeIndex> {
    let mut best: HashMap<NodeIndex, u32> = HashMap::new();
    let mut heap = BinaryHeap::new();
    heap.push((std::cmp::Reverse(0), vec![from]));
    while let Some((std::cmp::Reverse(cost), route)) = heap.pop() {
        let here = route[route.len() - 1];
        if here == to {
            return route;
        }
        for edge in graph.edges(here) {
            let cost = cost + edge.weight();
            if best.get(&edge.target()).is_none_or(|&known| cost < known) {
                best.insert(edge.target(), cost);
                let mut longer = route.clone();
                longer.push(edge.target());
                heap.push((std::cmp::Reverse(cost), longer));
            }
        }
    }
    Vec::new()
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut rng = Rng::with_seed(8);
    let mut sum = 0;
    for _ in 0..scale {
        let graph = network(&mut rng);
        let place = |rng: &mut Rng| NodeIndex::new(rng.usize(..SIDE * SIDE));
        for _ in 0..36 {
            let (from, to) = (place(&mut rng), place(&mut rng));
            let (goal_x, goal_y) = graph[to];
            let found = astar(
                &graph,
                from,
                |node| node == to,
                |edge| *edge.weight(),
                |node| {
                    let (x, y) = graph[node];
                    ((x - goal_x).abs() + (y - goal_y).abs()) as u32 * 10
                },
            );
            sum += found.map_or(0, |(cost, route)| u64::from(cost) + route.len() as u64);
            sum += scenic_route(&graph, from, to).len() as u64;
        }
        let reach = dijkstra(&graph, place(&mut rng), None, |edge| *edge.weight());
        sum += reach.values().map(|&cost| u64::from(cost)).sum::<u64>();
        sum += tarjan_scc(&graph).len() as u64;
        let undirected: UnGraph<(f32, f32), u32> = graph.clone().into_edge_type();
        let tree: UnGraph<(f32, f32), u32> = UnGraph::from_elements(min_spanning_tree(&undirected));
        let mut layers: VecDeque<Vec<NodeIndex>> = VecDeque::new();
        let mut walk = Bfs::new(&tree, NodeIndex::new(0));
        while let Some(node) = walk.next(&tree) {
            layers.push_back(tree.neighbors(node).collect());
            if layers.len() > 50 {
                layers.pop_front();
            }
        }
        sum += layers.iter().map(|layer| layer.len() as u64).sum::<u64>();
    }
    sum
}
