//! cat, echo, head, tail, tee, wc: what is in files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write, stdin};
use std::time::Duration;

use crate::line;
use crate::new_file::NewFile;
use crate::options::{Failure, Spec, each, failed};
use crate::output;

/// A file, or the standard input for `-`.
pub(crate) fn open(file: &str) -> Result<BufReader<Box<dyn Read>>, Failure> {
    let input: Box<dyn Read> = match file {
        "-" => Box::new(stdin()),
        path => Box::new(File::open(path).map_err(|error| failed(path, error))?),
    };
    Ok(BufReader::new(input))
}

/// Hands on what is read as it comes, so that it can be watched.
fn copy(mut from: impl Read, name: &str, mut to: impl FnMut(&[u8])) -> Result<(), Failure> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match from.read(&mut buffer).map_err(|error| failed(name, error))? {
            0 => return Ok(()),
            read => to(&buffer[..read]),
        }
    }
}

fn print_now(bytes: &[u8]) {
    output::bytes(bytes);
    output::flush();
}

pub(crate) fn cat(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: cat [-n] [FILE...]\n\nPrints files, or the input.\n\n  -n  number the lines",
        short: "nu",
        long: &[("number", 'n')],
    };
    let options = SPEC.parse(args)?;
    let mut number = 0;
    each("cat", &options.inputs(), |file| {
        let input = open(file)?;
        if !options.has('n') {
            return copy(input, file, print_now);
        }
        for text in input.split(b'\n') {
            number += 1;
            output::print(format_args!("{number:6}\t"));
            output::bytes(&text.map_err(|error| failed(file, error))?);
            print_now(b"\n");
        }
        Ok(())
    })
}

pub(crate) fn echo(args: &[String]) -> Result<u8, Failure> {
    let (ending, words) = match args {
        [first, words @ ..] if first == "-n" => ("", words),
        words => ("\n", words),
    };
    output::print(format_args!("{}{ending}", words.join(" ")));
    Ok(0)
}

/// `-N` as it was written before there was `-n N`.
fn old_count(args: &[String]) -> Vec<String> {
    let digits =
        |arg: &String| arg.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    args.iter().map(|arg| if digits(arg) { format!("-n{}", &arg[1..]) } else { arg.clone() }).collect()
}

fn title(files: &[String], file: &str, quiet: bool) {
    if files.len() > 1 && !quiet {
        line!("==> {file} <==");
    }
}

pub(crate) fn head(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: head [-n LINES | -c BYTES] [-q] [FILE...]\n\nPrints the first 10 lines of files, or of the input.",
        short: "n:c:q",
        long: &[("lines", 'n'), ("bytes", 'c'), ("quiet", 'q')],
    };
    let options = SPEC.parse(&old_count(args))?;
    let (lines, bytes) = (options.number('n')?.unwrap_or(10), options.number::<u64>('c')?);
    let files = options.inputs();
    each("head", &files, |file| {
        let mut input = open(file)?;
        title(&files, file, options.has('q'));
        if let Some(bytes) = bytes {
            return copy(input.take(bytes), file, print_now);
        }
        for _ in 0..lines {
            let mut text = Vec::new();
            if input.read_until(b'\n', &mut text).map_err(|error| failed(file, error))? == 0 {
                break;
            }
            output::bytes(&text);
        }
        Ok(())
    })
}

pub(crate) fn tail(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: tail [-n LINES | -c BYTES] [-f] [-q] [FILE...]\n\nPrints the last 10 lines of files, or of the input.\n\n  \
               -f  go on printing what is added, until it is interrupted; for one file\n  -n +N  begin at line N",
        short: "n:c:fq",
        long: &[("lines", 'n'), ("bytes", 'c'), ("follow", 'f'), ("quiet", 'q')],
    };
    let options = SPEC.parse(&old_count(args))?;
    let files = options.inputs();
    let code = each("tail", &files, |file| {
        title(&files, file, options.has('q'));
        if let Some(bytes) = options.number::<usize>('c')? {
            return last_bytes(file, bytes);
        }
        match options.value('n').and_then(|lines| lines.strip_prefix('+')) {
            Some(from) => from_line(file, from.parse().map_err(|_| Failure::Usage(format!("-n +{from}")))?),
            None => last_lines(file, options.number('n')?.unwrap_or(10)),
        }
    })?;
    output::flush();
    match files.as_slice() {
        [file] if options.has('f') && file != "-" => follow(file),
        _ => Ok(code),
    }
}

fn last_lines(file: &str, count: usize) -> Result<(), Failure> {
    let mut kept = VecDeque::new();
    let mut input = open(file)?;
    loop {
        let mut text = Vec::new();
        if input.read_until(b'\n', &mut text).map_err(|error| failed(file, error))? == 0 {
            break;
        }
        kept.push_back(text);
        if kept.len() > count {
            kept.pop_front();
        }
    }
    kept.iter().for_each(|text| output::bytes(text));
    Ok(())
}

fn from_line(file: &str, first: usize) -> Result<(), Failure> {
    let mut input = open(file)?;
    for _ in 1..first {
        input.skip_until(b'\n').map_err(|error| failed(file, error))?;
    }
    copy(input, file, output::bytes)
}

fn last_bytes(file: &str, count: usize) -> Result<(), Failure> {
    let mut kept = Vec::new();
    copy(open(file)?, file, |bytes| {
        kept.extend_from_slice(bytes);
        let over = kept.len().saturating_sub(count);
        kept.drain(..over);
    })?;
    output::bytes(&kept);
    Ok(())
}

fn follow(file: &str) -> Result<u8, Failure> {
    let mut input = File::open(file).map_err(|error| failed(file, error))?;
    let mut at = input.seek(SeekFrom::End(0)).map_err(|error| failed(file, error))?;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let length = input.metadata().map_err(|error| failed(file, error))?.len();
        if length < at {
            eprintln!("tail: {file}: it has become shorter");
            at = 0;
        }
        input.seek(SeekFrom::Start(at)).map_err(|error| failed(file, error))?;
        copy(&input, file, |bytes| {
            at += bytes.len() as u64;
            print_now(bytes);
        })?;
    }
}

pub(crate) fn tee(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: tee [-a] [FILE...]\n\nCopies the input to files and to the output.\n\n  -a  add to the files",
        short: "a",
        long: &[("append", 'a')],
    };
    let options = SPEC.parse(args)?;
    let add = options.has('a');
    let open = |path: &String| {
        let opened = if add { NewFile::append(path) } else { NewFile::create(path) };
        opened.map_err(|error| failed(path, error))
    };
    let mut files = options.rest.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut broken = None;
    copy(stdin(), "input", |bytes| {
        print_now(bytes);
        for file in &mut files {
            broken = file.write_all(bytes).err().or(broken.take());
        }
    })?;
    broken.map_or(Ok(0), |error| Err(Failure::Failed(error.to_string())))
}

pub(crate) fn wc(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: wc [-lwc] [FILE...]\n\nCounts lines, words and bytes of files, or of the input.",
        short: "lwc",
        long: &[("lines", 'l'), ("words", 'w'), ("bytes", 'c')],
    };
    let options = SPEC.parse(args)?;
    let all = !"lwc".chars().any(|letter| options.has(letter));
    let show = |counts: [u64; 3], name: &str| {
        let wanted = "lwc".chars().zip(counts).filter(|(letter, _)| all || options.has(*letter));
        let numbers: Vec<String> = wanted.map(|(_, count)| count.to_string()).collect();
        line!("{}{}{name}", numbers.join(" "), if name.is_empty() { "" } else { " " });
    };
    let mut total = [0; 3];
    let files = options.inputs();
    let code = each("wc", &files, |file| {
        let counts = count(file)?;
        show(counts, if options.rest.is_empty() { "" } else { file });
        total = [0, 1, 2].map(|n| total[n] + counts[n]);
        Ok(())
    })?;
    if files.len() > 1 {
        show(total, "total");
    }
    Ok(code)
}

fn count(file: &str) -> Result<[u64; 3], Failure> {
    let (mut counts, mut in_word) = ([0; 3], false);
    copy(open(file)?, file, |bytes| {
        counts[2] += bytes.len() as u64;
        for byte in bytes {
            counts[0] += u64::from(*byte == b'\n');
            let word = !byte.is_ascii_whitespace();
            counts[1] += u64::from(word && !in_word);
            in_word = word;
        }
    })?;
    Ok(counts)
}
