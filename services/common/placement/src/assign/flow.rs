//! Minimum-cost maximum flow where every arc costs 0 or 1.
//!
//! Primal-dual: shortest distances by cost give potentials, a blocking flow (Dinic) then uses up all arcs of
//! reduced cost 0, and so on with the next distance. Everything happens in the order in which arcs were added.

use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Vertex(u32);

/// An arc as it was added; its reverse has the next number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arc(u32);

const NONE: u32 = u32::MAX;

struct Half {
    head: u32,
    /// What still fits.
    room: u32,
    cost: i8,
    /// The next arc out of the same vertex.
    next: u32,
}

#[derive(Default)]
pub(super) struct Network {
    /// For each vertex, its first and last arc.
    ends: Vec<[u32; 2]>,
    arcs: Vec<Half>,
    /// For each vertex, its distance from the source by cost.
    potential: Vec<i32>,
}

impl Network {
    pub(super) fn vertex(&mut self) -> Vertex {
        self.ends.push([NONE; 2]);
        Vertex(index(self.ends.len() - 1))
    }

    pub(super) fn arc(&mut self, from: Vertex, to: Vertex, capacity: u32, cost: u8) -> Arc {
        let cost = i8::from(cost != 0);
        let arc = self.half(from.0, to.0, capacity, cost);
        self.half(to.0, from.0, 0, -cost);
        Arc(arc)
    }

    fn half(&mut self, from: u32, head: u32, room: u32, cost: i8) -> u32 {
        let arc = index(self.arcs.len());
        self.arcs.push(Half { head, room, cost, next: NONE });
        let [first, last] = &mut self.ends[from as usize];
        match *last {
            NONE => *first = arc,
            before => self.arcs[before as usize].next = arc,
        }
        *last = arc;
        arc
    }

    /// Whether flow goes over `arc`, whose capacity was 1.
    pub(super) fn is_used(&self, arc: Arc) -> bool {
        self.arcs[arc.0 as usize].room == 0
    }

    /// Sends as much as fits from `source` to `sink`, at the least cost.
    pub(super) fn run(&mut self, source: Vertex, sink: Vertex) {
        self.potential = vec![0; self.ends.len()];
        while self.raise_potentials(source.0, sink.0) {
            while let Some(mut levels) = self.levels(source.0, sink.0) {
                self.block(source.0, sink.0, &mut levels);
            }
        }
    }

    fn reduced_cost(&self, from: u32, arc: &Half) -> i32 {
        i32::from(arc.cost) + self.potential[from as usize] - self.potential[arc.head as usize]
    }

    fn out(&self, vertex: u32) -> impl Iterator<Item = &Half> {
        let at = |arc: u32| self.arcs.get(arc as usize);
        std::iter::successors(at(self.ends[vertex as usize][0]), move |arc| at(arc.next))
    }

    /// Dijkstra over reduced costs, which are never negative. Answers whether the sink can be reached.
    fn raise_potentials(&mut self, source: u32, sink: u32) -> bool {
        let mut distances = vec![i32::MAX; self.ends.len()];
        // Distances are few and small: one queue for each.
        let mut queues = BTreeMap::from([(0, VecDeque::from([source]))]);
        distances[source as usize] = 0;
        while let Some((distance, mut queue)) = queues.pop_first() {
            while let Some(vertex) = queue.pop_front() {
                if distances[vertex as usize] < distance {
                    continue;
                }
                for arc in self.out(vertex).filter(|arc| arc.room > 0) {
                    let through = distance + self.reduced_cost(vertex, arc);
                    if through >= distances[arc.head as usize] {
                        continue;
                    }
                    distances[arc.head as usize] = through;
                    if through == distance {
                        queue.push_back(arc.head);
                    } else {
                        queues.entry(through).or_default().push_back(arc.head);
                    }
                }
            }
        }
        let reached = distances[sink as usize];
        if reached == i32::MAX {
            return false;
        }
        for (potential, distance) in self.potential.iter_mut().zip(distances) {
            *potential += distance.min(reached);
        }
        true
    }

    /// Steps from the source over arcs of reduced cost 0, up to the sink; none where it cannot be reached.
    fn levels(&self, source: u32, sink: u32) -> Option<Vec<u32>> {
        let mut levels = vec![NONE; self.ends.len()];
        levels[source as usize] = 0;
        let mut queue = VecDeque::from([source]);
        while let Some(vertex) = queue.pop_front() {
            if vertex == sink {
                return Some(levels);
            }
            for arc in self.out(vertex) {
                let new = levels[arc.head as usize] == NONE;
                if new && arc.room > 0 && self.reduced_cost(vertex, arc) == 0 {
                    levels[arc.head as usize] = levels[vertex as usize] + 1;
                    queue.push_back(arc.head);
                }
            }
        }
        None
    }

    /// Sends flow along paths that rise one level with each arc until none is left.
    fn block(&mut self, source: u32, sink: u32, levels: &mut [u32]) {
        let mut current: Vec<u32> = self.ends.iter().map(|ends| ends[0]).collect();
        let mut path: Vec<u32> = Vec::new();
        let mut vertex = source;
        loop {
            if vertex == sink {
                vertex = self.push(&mut path);
                continue;
            }
            match current[vertex as usize] {
                NONE => {
                    levels[vertex as usize] = NONE;
                    let Some(arc) = path.pop() else { return };
                    vertex = self.arcs[(arc ^ 1) as usize].head;
                }
                number => {
                    let arc = &self.arcs[number as usize];
                    let rises = levels[arc.head as usize] == levels[vertex as usize] + 1;
                    if rises && arc.room > 0 && self.reduced_cost(vertex, arc) == 0 {
                        path.push(number);
                        vertex = arc.head;
                    } else {
                        current[vertex as usize] = arc.next;
                    }
                }
            }
        }
    }

    /// Fills `path`, cuts it before its first full arc, and answers the vertex where it then ends.
    fn push(&mut self, path: &mut Vec<u32>) -> u32 {
        let amount = path.iter().map(|arc| self.arcs[*arc as usize].room).min().unwrap_or(0);
        for arc in path.iter() {
            self.arcs[*arc as usize].room -= amount;
            self.arcs[(*arc ^ 1) as usize].room += amount;
        }
        let full = path.iter().position(|arc| self.arcs[*arc as usize].room == 0).unwrap_or(0);
        let tail = self.arcs[(path[full] ^ 1) as usize].head;
        path.truncate(full);
        tail
    }
}

/// A network of 2^16 partitions and as many members has fewer than 2^32 vertices; one with more is our own fault.
#[allow(clippy::cast_possible_truncation, reason = "checked in debug builds; bounded by the limits of a ring")]
fn index(number: usize) -> u32 {
    debug_assert!(number < NONE as usize);
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_arcs_are_used_first_and_undone_when_needed() {
        let mut network = Network::default();
        let [source, sink, left, right, a, b] = std::array::from_fn(|_| network.vertex());
        network.arc(source, left, 1, 0);
        network.arc(source, right, 1, 0);
        let left_a = network.arc(left, a, 1, 0);
        let left_b = network.arc(left, b, 1, 1);
        let right_a = network.arc(right, a, 1, 0);
        network.arc(a, sink, 1, 0);
        network.arc(b, sink, 1, 0);
        network.run(source, sink);
        assert_eq!([left_a, left_b, right_a].map(|arc| network.is_used(arc)), [false, true, true]);
    }

    #[test]
    fn of_two_ways_the_cheaper_is_taken() {
        let mut network = Network::default();
        let [source, sink, a, b] = std::array::from_fn(|_| network.vertex());
        network.arc(source, a, 2, 0);
        let dear = network.arc(a, sink, 1, 1);
        let [ab, cheap] = [network.arc(a, b, 1, 0), network.arc(b, sink, 1, 0)];
        network.run(source, sink);
        assert!([dear, ab, cheap].iter().all(|arc| network.is_used(*arc)));
        let mut network = Network::default();
        let [source, sink, a, b] = std::array::from_fn(|_| network.vertex());
        network.arc(source, a, 1, 0);
        let dear = network.arc(a, sink, 1, 1);
        let [ab, cheap] = [network.arc(a, b, 1, 0), network.arc(b, sink, 1, 0)];
        network.run(source, sink);
        assert!(!network.is_used(dear) && network.is_used(ab) && network.is_used(cheap));
    }
}
