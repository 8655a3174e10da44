use std::fs;

use anyhow::Context;
use carob_node::images::ImageStore;

use crate::args::{ImageListOptions, ImageLoadOptions};
use crate::data_dir::DataDir;

/// Puts a file into the image store under a name.
pub(crate) fn load(options: &ImageLoadOptions) -> anyhow::Result<()> {
    let bytes = fs::read(&options.file).with_context(|| format!("cannot read {}", options.file.display()))?;
    let images = open(&DataDir::locate(&options.data)?)?;
    let image = images.load(&bytes, &options.tag).with_context(|| format!("cannot load {}", options.file.display()))?;
    println!("{} {}", image.name, image.digest);
    Ok(())
}

/// Prints what is in the image store.
pub(crate) fn list(options: &ImageListOptions) -> anyhow::Result<()> {
    let images = open(&DataDir::locate(&options.data)?)?.list().context("cannot read the image store")?;
    let width = images.iter().map(|image| image.name.len()).max().unwrap_or(0).max("NAME".len());
    println!("{:width$}  {:71}  SIZE", "NAME", "DIGEST");
    for image in images {
        println!("{:width$}  {:71}  {}", image.name, image.digest, image.size);
    }
    Ok(())
}

/// The image store of a data directory.
pub(crate) fn open(data: &DataDir) -> anyhow::Result<ImageStore> {
    ImageStore::open(data.images()).with_context(|| format!("cannot open the image store {}", data.images().display()))
}
