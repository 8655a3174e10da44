use super::*;

fn backends() -> Backends {
    let service = crate::table::ObjectName { namespace: "default".into(), name: "web".into() };
    Backends::new(ServicePort { service, port: "http".into() })
}

fn address(port: u16) -> SocketAddr {
    ([10, 244, 0, 2], port).into()
}

impl Backends {
    fn ready(&self, port: u16) {
        self.add(address(port), Stage::Ready, true);
    }

    fn unready(&self, port: u16) {
        self.remove(address(port), Stage::Ready, true);
    }

    fn drawn(&self, scope: Scope) -> Vec<u16> {
        let mut drawn: Vec<u16> = self.draw(scope, usize::MAX).iter().map(SocketAddr::port).collect();
        drawn.sort_unstable();
        drawn
    }
}

#[test]
fn nothing_is_drawn_from_nothing() {
    assert_eq!(backends().draw_two(Scope::Cluster), None);
    assert_eq!(backends().draw(Scope::Cluster, 4), []);
}

#[test]
fn two_different_ones_are_drawn_and_each_of_them_sometime() {
    let backends = backends();
    (0..4).for_each(|port| backends.ready(port));

    let mut seen = [0; 4];
    for _ in 0..1000 {
        let (first, other) = backends.draw_two(Scope::Cluster).unwrap();
        assert_ne!(Some(first), other);
        seen[usize::from(first.port())] += 1;
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn an_address_in_two_slices_stays_until_both_have_let_it_go() {
    let backends = backends();
    backends.ready(1);
    backends.ready(1);
    backends.ready(2);
    backends.unready(1);
    assert_eq!(backends.drawn(Scope::Cluster), [1, 2]);
    backends.unready(1);
    assert_eq!(backends.draw_two(Scope::Cluster), Some((address(2), None)));
    backends.unready(1);
    backends.unready(2);
    assert!(backends.is_empty(Scope::Cluster) && backends.is_unlisted());
}

#[test]
fn who_is_about_to_end_is_asked_only_while_nobody_is_ready() {
    let backends = backends();
    backends.add(address(1), Stage::Terminating, false);
    assert_eq!(backends.drawn(Scope::Cluster), [1]);
    backends.add(address(2), Stage::Ready, false);
    assert_eq!(backends.drawn(Scope::Cluster), [2]);
    assert!(!backends.contains(Scope::Cluster, address(1)));
    backends.remove(address(2), Stage::Ready, false);
    assert_eq!(backends.drawn(Scope::Cluster), [1]);
    backends.remove(address(1), Stage::Terminating, false);
    assert!(backends.is_unlisted());
}

#[test]
fn a_node_of_its_own_has_nobody_elses() {
    let backends = backends();
    backends.add(address(1), Stage::Ready, false);
    assert!(backends.is_empty(Scope::Node));
    backends.add(address(2), Stage::Terminating, true);
    assert_eq!((backends.drawn(Scope::Node), backends.drawn(Scope::Cluster)), (vec![2], vec![1]));
    backends.add(address(3), Stage::Ready, true);
    assert_eq!((backends.drawn(Scope::Node), backends.ready_here()), (vec![3], 1));
    backends.remove(address(3), Stage::Ready, true);
    backends.remove(address(2), Stage::Terminating, true);
    assert!(backends.is_empty(Scope::Node) && !backends.is_empty(Scope::Cluster));
}
