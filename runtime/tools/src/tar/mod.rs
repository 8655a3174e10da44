//! tar: archives, as `kubectl cp` makes and takes them too.

mod create;
mod extract;
mod header;

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write, stdin, stdout};

use crate::new_file::NewFile;
use crate::options::{Failure, Options, Spec, failed};

const SPEC: Spec = Spec {
    help: "usage: tar -c|-x|-t [-vmO] [-f ARCHIVE] [-C FOLDER] [FILE...]\n\nMakes, unpacks or lists an archive.\n\n  \
           -c       make one of files and folders\n  -x       unpack it, or the named files of it\n  -t       list what is in it\n  \
           -f FILE  the archive; - (or none) is the input or the output\n  -C FOLDER  go there first\n  -v       tell each file\n  \
           -m       do not restore times\n  -O       unpack to the output\n  --strip-components=N  leave out the first N folders of each path\n\n\
           Archives are not compressed; WASI knows no owners and permissions to keep.",
    short: "cxtf:C:vmOpokS:z",
    long: &[
        ("create", 'c'),
        ("extract", 'x'),
        ("get", 'x'),
        ("list", 't'),
        ("file", 'f'),
        ("directory", 'C'),
        ("verbose", 'v'),
        ("touch", 'm'),
        ("to-stdout", 'O'),
        ("strip-components", 'S'),
        ("gzip", 'z'),
        ("same-permissions", 'p'),
        ("preserve-permissions", 'p'),
        ("no-same-permissions", 'o'),
        ("no-same-owner", 'o'),
        ("same-owner", 'p'),
        ("numeric-owner", 'p'),
    ],
};

pub(crate) fn tar(args: &[String]) -> Result<u8, Failure> {
    let options = SPEC.parse(&dashed(args))?;
    if options.has('z') {
        return Err(Failure::Usage("compressed archives are not known here".to_owned()));
    }
    match ['c', 'x', 't'].map(|letter| options.has(letter)) {
        [true, false, false] => make(&options),
        [false, true, false] => extract::unpack(&options, input(&options)?),
        [false, false, true] => extract::list(&options, input(&options)?),
        _ => Err(Failure::Usage("say one of -c, -x and -t".to_owned())),
    }
}

fn make(options: &Options) -> Result<u8, Failure> {
    if options.rest.is_empty() {
        return Err(Failure::Usage("an archive of nothing is not made: name files".to_owned()));
    }
    let archive = options.value('f').unwrap_or("-");
    let output: Box<dyn Write> = match archive {
        "-" => Box::new(stdout()),
        path => Box::new(NewFile::create(path).map_err(|error| failed(path, error))?),
    };
    create::pack(options, BufWriter::with_capacity(64 * 1024, output)).map_err(|error| match error {
        Failure::Failed(problem) => failed(archive, problem),
        other => other,
    })
}

fn input(options: &Options) -> Result<impl Read, Failure> {
    let input: Box<dyn Read> = match options.value('f').unwrap_or("-") {
        "-" => Box::new(stdin()),
        path => Box::new(File::open(path).map_err(|error| failed(path, error))?),
    };
    Ok(BufReader::with_capacity(64 * 1024, input))
}

/// `tar cf - FILE` as it was written before options began with a dash: each letter that takes a value takes the next word.
fn dashed(args: &[String]) -> Vec<String> {
    let Some((letters, mut rest)) = args.split_first().filter(|(first, _)| !first.starts_with('-')) else {
        return args.to_vec();
    };
    let mut all = Vec::new();
    for letter in letters.chars() {
        all.push(format!("-{letter}"));
        if let ('f' | 'C', [value, more @ ..]) = (letter, rest) {
            all.push(value.clone());
            rest = more;
        }
    }
    all.extend_from_slice(rest);
    all
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn run(text: &str) -> Result<u8, Failure> {
        tar(&words(text))
    }

    #[test]
    fn old_words_become_options() {
        for (old, new) in
            [("cf - a b", "-c -f - a b"), ("xmf - -C d", "-x -m -f - -C d"), ("-xmf - -C d", "-xmf - -C d")]
        {
            assert_eq!(dashed(&words(old)), words(new));
        }
    }

    #[test]
    fn what_is_packed_comes_out_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let deep = format!("{}/{}", "long-folder-name".repeat(9), "long-file-name".repeat(12));
        let files = [("plain", vec![1; 513]), ("empty", vec![]), ("d/block", vec![2; 1024]), (&deep, vec![3; 70_000])];
        for (path, bytes) in &files {
            let path = at("from").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::create_dir(at("from/nothing")).unwrap();
        fs::create_dir(at("to")).unwrap();
        let (archive, from, to) = (at("a.tar"), at("from"), at("to"));
        let [archive, from, to] = [&archive, &from, &to].map(|path| path.to_str().unwrap());
        assert_eq!(run(&format!("cf {archive} -C {from} .")).unwrap(), 0);
        assert_eq!(run(&format!("--no-same-permissions --no-same-owner -xmf {archive} -C {to}")).unwrap(), 0);
        for (path, bytes) in &files {
            assert_eq!(&fs::read(Path::new(to).join(path)).unwrap(), bytes, "{path}");
        }
        assert!(Path::new(to).join("nothing").is_dir());
        let system = std::process::Command::new("tar").args(["tf", archive]).output().unwrap();
        let listed = String::from_utf8(system.stdout).unwrap();
        assert!(listed.lines().any(|line| line.ends_with(&deep)), "{listed}");
    }

    #[test]
    fn an_archive_of_the_systems_tar_is_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        for format in ["gnu", "pax", "ustar"] {
            let (from, to) = (dir.path().join(format), dir.path().join(format!("{format}-to")));
            let name = if format == "ustar" { "short".to_owned() } else { "long-name".repeat(20) };
            fs::create_dir_all(from.join("folder")).unwrap();
            fs::create_dir(&to).unwrap();
            fs::write(from.join("folder").join(&name), format).unwrap();
            let archive = dir.path().join("a.tar");
            let mut system = std::process::Command::new("tar");
            system.args(["--format", format, "-cf"]).arg(&archive).arg("-C").arg(&from).arg(".");
            assert!(system.status().unwrap().success());
            assert_eq!(run(&format!("xf {} -C {}", archive.display(), to.display())).unwrap(), 0);
            assert_eq!(fs::read_to_string(to.join("folder").join(&name)).unwrap(), format);
        }
    }

    #[test]
    fn what_would_lead_out_is_not_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("a.tar");
        let mut bytes =
            header::Header { path: "../out".to_owned(), kind: b'0', size: 1, ..Default::default() }.encode();
        bytes.extend([b'x'; 512]);
        fs::write(&archive, bytes).unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let code = run(&format!("xf {} -C {}", archive.display(), dir.path().join("in").display())).unwrap();
        assert_eq!(code, 1);
        assert!(!dir.path().join("out").exists());
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("a.tar");
        let bytes = header::Header { path: "a".to_owned(), kind: b'0', size: 600, ..Default::default() }.encode();
        fs::write(&archive, [&bytes[..], &[0; 512]].concat()).unwrap();
        assert!(run(&format!("xf {} -C {}", archive.display(), dir.path().display())).is_err());
        fs::write(&archive, b"no archive, but longer than nothing".repeat(20)).unwrap();
        assert!(run(&format!("tf {}", archive.display())).is_err());
    }
}
