//! Which component a name means, and its compiled program.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock};

use carob_engine::{Engine, Program};
use parking_lot::Mutex;

use super::{ExecError, StartError};
use crate::images::{Image, digest};
use crate::tools;

/// Compiled programs by digest: a Deployment's thousandth Pod neither reads nor compiles its image again. Cloning shares
/// them.
#[derive(Clone)]
pub(crate) struct Programs {
    engine: Engine,
    known: Arc<Mutex<HashMap<String, Program>>>,
}

/// A component that a name means inside a container.
enum Component {
    /// A file of the image.
    Carried(Vec<u8>),
    /// What the container itself runs.
    Own,
    /// One that every container has.
    Tool,
}

impl Programs {
    pub(crate) fn new(engine: Engine) -> Programs {
        Programs { engine, known: Arc::default() }
    }

    /// What a container of `image` runs.
    pub(crate) async fn of_image(&self, image: &Image) -> Result<Program, StartError> {
        if let Some(program) = self.known(&image.digest) {
            return Ok(program);
        }
        let reading = image.clone();
        let bytes = blocking(move || reading.program()).await;
        let bytes = bytes.map_err(|error| StartError(format!("cannot read image {}: {error}", image.digest)))?;
        self.compile(image.digest.clone(), &bytes).await
    }

    /// What `name` means inside a container of `image`: a component that the image carries, or its own program, or one of
    /// the tools.
    pub(crate) async fn inside(&self, image: &Image, name: &str) -> Result<Program, ExecError> {
        let reason = |reason: String| ExecError::NotExecutable { name: name.to_owned(), reason };
        let (searched, wanted) = (image.clone(), name.to_owned());
        let found = blocking(move || find(&searched, &wanted)).await.map_err(|error| reason(error.to_string()))?;
        let program = match found {
            Ok(Component::Carried(bytes)) => self.compile(digest(&bytes), &bytes).await,
            Ok(Component::Own) => self.of_image(image).await,
            Ok(Component::Tool) => self.compile(TOOLS_DIGEST.clone(), tools::COMPONENT).await,
            Err(offered) => return Err(ExecError::NotFound { name: name.to_owned(), offered }),
        };
        program.map_err(|error| reason(error.to_string()))
    }

    async fn compile(&self, digest: String, bytes: &[u8]) -> Result<Program, StartError> {
        if let Some(program) = self.known(&digest) {
            return Ok(program);
        }
        let program = self.engine.compile(&digest, bytes).await.map_err(|error| StartError(error.to_string()))?;
        self.known.lock().insert(digest, program.clone());
        Ok(program)
    }

    fn known(&self, digest: &str) -> Option<Program> {
        self.known.lock().get(digest).cloned()
    }
}

static TOOLS_DIGEST: LazyLock<String> = LazyLock::new(|| digest(tools::COMPONENT));

/// What `name` means, or what could have been asked for.
fn find(image: &Image, name: &str) -> io::Result<Result<Component, String>> {
    if let Some(bytes) = image.carried(name)? {
        return Ok(Ok(Component::Carried(bytes)));
    }
    let own = image.program_name()?;
    if name == own {
        return Ok(Ok(Component::Own));
    }
    if tools::find(name).is_some() {
        return Ok(Ok(Component::Tool));
    }
    let tools: Vec<&str> = tools::names().collect();
    Ok(Err(format!("there is the container's own program, {own:?}, and the tools {}", tools.join(" "))))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
