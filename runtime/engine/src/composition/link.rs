use std::sync::Arc;

use parking_lot::Mutex;

use super::exporter::Exporter;
use super::interfaces::Interface;
use super::matching::{self, Needs, Pairs};
use super::peer::{Peer, User};
use crate::program::{Compiled, Program};

/// Where a container stands among its siblings.
#[derive(Clone, Default)]
pub struct Composition {
    /// Where each of its imports leads, for all that are not WASI's.
    pub links: Vec<Link>,
    /// Where others find what it exports.
    pub peer: Option<Arc<Peer>>,
}

/// One import of a program, met by an export of a sibling.
#[derive(Clone)]
pub struct Link {
    /// The import's name.
    pub import: String,
    /// The export's; the versions may differ where they are compatible.
    pub export: String,
    /// The program that exports it.
    pub program: Program,
    /// Where the runs of that program are found.
    pub peer: Arc<Peer>,
}

/// Why a program's imports cannot be linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No link was given for an import.
    #[error("the component imports {import}, which nothing in this Pod exports")]
    Missing {
        /// Its name.
        import: String,
    },
    /// The two do not fit.
    #[error("the component imports {import}, and {peer:?} exports {export}, but they do not fit: {why}")]
    Mismatch {
        /// The import's name.
        import: String,
        /// The export's name.
        export: String,
        /// Who exports it.
        peer: String,
        /// What differs.
        why: String,
    },
}

/// A link, as the forwarding functions need it.
pub(crate) struct Bound {
    user: User,
    importer: Arc<Compiled>,
    /// The place of the import in the importer.
    import: usize,
    export: String,
    fit: Mutex<Arc<Fit>>,
}

/// How an import and an export fit together.
pub(super) struct Fit {
    program: Arc<Compiled>,
    /// By the import's functions: where the exporter has it.
    pub(super) functions: Vec<Target>,
    /// By the exporter's number of a resource: the importer's.
    pub(super) resources: Vec<Option<usize>>,
}

/// A function of an exporter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) interface: usize,
    pub(super) function: usize,
    pub(super) needs: Needs,
}

/// Finds and checks the link of each of the program's own imports, in their order.
pub(crate) fn bind(program: &Arc<Compiled>, links: &[Link]) -> Result<Arc<[Bound]>, LinkError> {
    (0..program.own.imports.interfaces.len()).map(|import| bind_one(program, import, links)).collect()
}

fn bind_one(importer: &Arc<Compiled>, import: usize, links: &[Link]) -> Result<Bound, LinkError> {
    let name = &importer.own.imports.interfaces[import].name;
    let link = links.iter().find(|link| link.import == *name);
    let link = link.ok_or_else(|| LinkError::Missing { import: name.clone() })?;
    let fit = Fit::new(importer, import, &link.program.inner, &link.export);
    let fit = fit.map_err(|why| mismatch(name, &link.export, link.peer.name(), why))?;
    Ok(Bound {
        user: link.peer.user(),
        importer: importer.clone(),
        import,
        export: link.export.clone(),
        fit: Mutex::new(Arc::new(fit)),
    })
}

fn mismatch(import: &str, export: &str, peer: &str, why: String) -> LinkError {
    LinkError::Mismatch { import: import.to_owned(), export: export.to_owned(), peer: peer.to_owned(), why }
}

impl Bound {
    /// Whoever answers now, and how the import fits to it.
    pub(super) async fn exporter(&self) -> wasmtime::Result<(Arc<Exporter>, Arc<Fit>)> {
        let exporter = self.user.exporter().await?;
        let fit = self.fit_to(exporter.program())?;
        Ok((exporter, fit))
    }

    /// A restarted sibling may run another image than before.
    fn fit_to(&self, program: &Arc<Compiled>) -> Result<Arc<Fit>, LinkError> {
        let mut fit = self.fit.lock();
        if !Arc::ptr_eq(&fit.program, program) {
            let name = &self.importer.own.imports.interfaces[self.import].name;
            let again = Fit::new(&self.importer, self.import, program, &self.export);
            *fit = Arc::new(again.map_err(|why| mismatch(name, &self.export, self.user.name(), why))?);
        }
        Ok(fit.clone())
    }
}

impl Fit {
    fn new(importer: &Compiled, import: usize, exporter: &Arc<Compiled>, export: &str) -> Result<Fit, String> {
        let (mine, theirs) = (&importer.own.imports, &exporter.own.exports);
        let import = &mine.interfaces[import];
        let place = theirs.find(export).ok_or_else(|| format!("it exports no {export}"))?;
        let export = &theirs.interfaces[place];
        let same = same_resources(import, export)?;
        let pairs = Pairs(
            same.iter().map(|(of_mine, of_theirs)| (mine.resources[*of_mine], theirs.resources[*of_theirs])).collect(),
        );
        let functions = functions(import, place, export, &pairs)?;
        let mut resources = vec![None; theirs.resources.len()];
        for (of_mine, of_theirs) in same {
            resources[of_theirs] = Some(of_mine);
        }
        Ok(Fit { program: exporter.clone(), functions, resources })
    }
}

fn same_resources(import: &Interface, export: &Interface) -> Result<Vec<(usize, usize)>, String> {
    let find = |(name, mine): &(String, usize)| {
        let theirs = export.resources.iter().find(|(theirs, _)| theirs == name);
        theirs.map(|(_, theirs)| (*mine, *theirs)).ok_or_else(|| format!("it defines no resource {name}"))
    };
    import.resources.iter().map(find).collect()
}

fn functions(import: &Interface, interface: usize, export: &Interface, pairs: &Pairs) -> Result<Vec<Target>, String> {
    let find = |(name, mine): &(String, _)| {
        let function = export.functions.iter().position(|(theirs, _)| theirs == name);
        let function = function.ok_or_else(|| format!("it has no function {name}"))?;
        let needs = matching::function(mine, &export.functions[function].1, pairs);
        let needs = needs.map_err(|why| format!("function {name}: {why}"))?;
        Ok(Target { interface, function, needs })
    };
    import.functions.iter().map(find).collect()
}
