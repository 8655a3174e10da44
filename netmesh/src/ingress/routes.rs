//! Which backend a request goes to, by its host and path. Pure.
//!
//! What the API says of hosts and paths
//! (<https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types>) is all here: an exact host before a
//! wildcard, that before none; then the longest path, and of two of the same length the exact one; and where two Ingresses say
//! the same, the older.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::figures::RouteFigures;
use super::rules::{Backend, Host, PathMatch, Rules};
use crate::table::ObjectName;

/// One rule, or the default backend of an Ingress.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: RouteName,
    pub(crate) backend: Backend,
    pub(crate) figures: Arc<RouteFigures>,
}

/// What tells a route from others, in the log and in figures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RouteName {
    pub(crate) ingress: ObjectName,
    /// As the rule has it; empty where it has none.
    pub(crate) host: String,
    /// As the rule has it; empty for a default backend.
    pub(crate) path: String,
}

/// All routes of the Ingresses that are served.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    exact: HashMap<String, Site>,
    /// By what stands behind `*.`
    wildcard: HashMap<String, Site>,
    any: Site,
    /// What matches nothing goes here: the default backend of the oldest Ingress that has one.
    fallback: Option<Arc<Route>>,
}

/// The routes of one host.
#[derive(Debug, Default)]
struct Site {
    /// The first that matches wins.
    paths: Vec<(PathMatch, Arc<Route>)>,
    /// The default backend of the oldest Ingress with a rule for this host that has one.
    fallback: Option<Arc<Route>>,
}

impl Routes {
    /// The routes of these Ingresses, the oldest first. `figures` gives each route the figures that it had before.
    pub(crate) fn new<'a>(
        ingresses: impl IntoIterator<Item = &'a Rules>,
        figures: impl Fn(&RouteName) -> Arc<RouteFigures>,
    ) -> Routes {
        let mut routes = Routes::default();
        for rules in ingresses {
            routes.add(rules, &figures);
        }
        let sites = routes.exact.values_mut().chain(routes.wildcard.values_mut());
        sites.chain([&mut routes.any]).for_each(Site::sort);
        routes
    }

    fn add(&mut self, rules: &Rules, figures: &impl Fn(&RouteName) -> Arc<RouteFigures>) {
        let route = |host: &Host, path: &str, backend: &Backend| {
            let name = RouteName { ingress: rules.name.clone(), host: host.to_string(), path: path.to_owned() };
            Arc::new(Route { figures: figures(&name), name, backend: backend.clone() })
        };
        let fallback = rules.default_backend.as_ref().map(|backend| route(&Host::Any, "", backend));
        for rule in &rules.rules {
            let site = self.site(&rule.host);
            site.fallback = site.fallback.take().or_else(|| fallback.clone());
            for (path, backend) in &rule.paths {
                site.paths.push((path.clone(), route(&rule.host, path.text(), backend)));
            }
        }
        self.fallback = self.fallback.take().or(fallback);
    }

    fn site(&mut self, host: &Host) -> &mut Site {
        match host {
            Host::Exact(name) => self.exact.entry(name.clone()).or_default(),
            Host::Wildcard(parent) => self.wildcard.entry(parent.clone()).or_default(),
            Host::Any => &mut self.any,
        }
    }

    /// What all of them are called.
    pub(crate) fn names(&self) -> HashSet<RouteName> {
        let sites = self.exact.values().chain(self.wildcard.values()).chain([&self.any]);
        let routes = sites.flat_map(|site| site.paths.iter().map(|(_, route)| route).chain(&site.fallback));
        routes.chain(&self.fallback).map(|route| route.name.clone()).collect()
    }

    /// The route of a request for `host` (a name without port, in lower case) and `path` (without query).
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        let exact = self.exact.get(host);
        // A wildcard stands for one label.
        let wildcard = host.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        let sites = || [exact, wildcard, Some(&self.any)].into_iter().flatten();
        sites()
            .find_map(|site| site.find(path))
            .or_else(|| sites().find_map(|site| site.fallback.as_ref()))
            .or(self.fallback.as_ref())
    }
}

impl Site {
    /// The sort is stable: of equal ones the older stays first.
    fn sort(&mut self) {
        self.paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.weight()));
    }

    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        self.paths.iter().find(|(rule, _)| rule.matches(path)).map(|(_, route)| route)
    }
}

#[cfg(test)]
mod tests;
