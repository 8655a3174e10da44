//! wget: HTTP/1.1 over a plain connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use crate::new_file::NewFile;
use crate::options::{Failure, Options, Spec, failed};
use crate::output;

const REDIRECTS: usize = 10;

pub(crate) fn wget(args: &[String]) -> Result<u8, Failure> {
    const SPEC: Spec = Spec {
        help: "usage: wget [-qS] [-O FILE] [--header H] [--post-data TEXT] [--spider] URL\n\nFetches a URL, into a file named as in it.\n\n  \
               -O FILE  into FILE; - is the output\n  -S       print the head of the answer\n  -q       say nothing\n  \
               --spider only look whether it is there\n\nThere is no TLS here: only http:// is known.",
        short: "qSO:H:P:sT:",
        long: &[
            ("quiet", 'q'),
            ("server-response", 'S'),
            ("output-document", 'O'),
            ("header", 'H'),
            ("post-data", 'P'),
            ("spider", 's'),
            ("timeout", 'T'),
        ],
    };
    let options = SPEC.parse(args)?;
    let [url] = options.rest.as_slice() else { return Err(Failure::Usage("name one URL".to_owned())) };
    let mut url = if url.contains("://") { url.clone() } else { format!("http://{url}") };
    for _ in 0..=REDIRECTS {
        let target = Target::parse(&url)?;
        let mut answer = target.ask(&options).map_err(|error| failed(&url, error))?;
        match answer.code {
            301..=303 | 307 | 308 if answer.header("location").is_some() => {
                url = target.relative(answer.header("location").unwrap_or_default());
            }
            200..=299 => return save(&options, &target, &mut answer).map(|()| 0).map_err(|error| failed(&url, error)),
            code => return Err(Failure::Failed(format!("server returned error: HTTP/1.1 {code} {}", answer.reason))),
        }
    }
    Err(Failure::Failed(format!("more than {REDIRECTS} redirects")))
}

fn save(options: &Options, target: &Target, answer: &mut Answer) -> std::io::Result<()> {
    if options.has('s') {
        return Ok(());
    }
    let name = options.value('O').unwrap_or_else(|| target.file_name());
    let mut file = if name == "-" { None } else { Some(NewFile::create(name)?) };
    answer.body(|bytes| match &mut file {
        Some(file) => file.write_all(bytes),
        None => {
            output::bytes(bytes);
            output::flush();
            Ok(())
        }
    })?;
    if file.is_some() && !options.has('q') {
        eprintln!("'{name}' saved");
    }
    Ok(())
}

struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Target, Failure> {
        let rest =
            url.strip_prefix("http://").ok_or_else(|| failed(url, "only http:// is known here: there is no TLS"))?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, port.parse().map_err(|_| failed(url, format_args!("{port:?} is no port")))?),
            None => (authority, 80),
        };
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Target { host: host.trim_matches(['[', ']']).to_owned(), port, path })
    }

    /// Where a link leads from here.
    fn relative(&self, link: &str) -> String {
        if link.contains("://") {
            return link.to_owned();
        }
        let folder = &self.path[..=self.path.rfind('/').unwrap_or(0)];
        let path = if link.starts_with('/') { link.to_owned() } else { format!("{folder}{link}") };
        format!("http://{}{path}", self.authority())
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }

    fn file_name(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("index.html")
    }

    fn ask(&self, options: &Options) -> std::io::Result<Answer> {
        let mut stream = self.connect(options)?;
        let data = options.value('P');
        let method = if data.is_some() { "POST" } else { "GET" };
        let mut request = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.authority());
        request += "User-Agent: carob-tools\r\nAccept: */*\r\nConnection: close\r\n";
        if let Some(data) = data {
            request +=
                &format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", data.len());
        }
        for header in options.values('H') {
            request += &format!("{header}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes())?;
        stream.write_all(data.unwrap_or_default().as_bytes())?;
        Answer::read(BufReader::new(stream), options.has('S'))
    }

    fn connect(&self, options: &Options) -> std::io::Result<TcpStream> {
        let mut last = std::io::Error::other("the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            if !options.has('q') {
                eprintln!("Connecting to {} ({address})", self.authority());
            }
            match TcpStream::connect(address) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

struct Answer {
    code: u16,
    reason: String,
    headers: Vec<(String, String)>,
    input: BufReader<TcpStream>,
}

impl Answer {
    fn read(mut input: BufReader<TcpStream>, show: bool) -> std::io::Result<Answer> {
        let mut next = || {
            let mut text = String::new();
            input.read_line(&mut text)?;
            if show && !text.trim().is_empty() {
                eprintln!("  {}", text.trim_end());
            }
            std::io::Result::Ok(text.trim_end().to_owned())
        };
        let first = next()?;
        let mut words = first.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let code = words.next().and_then(|code| code.parse().ok()).filter(|_| version.starts_with("HTTP/1."));
        let code = code.ok_or_else(|| std::io::Error::other(format!("this is no answer of HTTP/1.1: {first:?}")))?;
        let reason = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        while let Some((name, value)) = next()?.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Answer { code, reason, headers, input })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn body(&mut self, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        if self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.chunks(take);
        }
        match self.header("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => exactly(&mut self.input, length, &mut take),
            None => some(&mut self.input, u64::MAX, &mut take).map(drop),
        }
    }

    fn chunks(&mut self, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        loop {
            let mut head = String::new();
            self.input.read_line(&mut head)?;
            let digits = head.split(';').next().unwrap_or_default().trim();
            let length =
                u64::from_str_radix(digits, 16).map_err(|_| std::io::Error::other("a chunk's length is missing"))?;
            if length == 0 {
                return Ok(());
            }
            exactly(&mut self.input, length, &mut take)?;
            self.input.read_line(&mut String::new())?;
        }
    }
}

fn exactly(
    input: &mut impl Read,
    length: u64,
    take: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    match some(input, length, take)? {
        read if read < length => Err(std::io::Error::other(format!("it broke off after {read} of {length} bytes"))),
        _ => Ok(()),
    }
}

fn some(input: &mut impl Read, most: u64, take: &mut impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<u64> {
    let (mut input, mut total, mut buffer) = (input.take(most), 0, vec![0; 32 * 1024]);
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(total),
            read => take(&buffer[..read])?,
        }
        total = most - input.limit();
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn urls_are_taken_apart_and_followed() {
        for (url, host, port, path, file) in [
            ("http://a", "a", 80, "/", "index.html"),
            ("http://a:8080/b/c?d#e", "a", 8080, "/b/c?d", "c"),
            ("http://[::1]:81?x", "::1", 81, "/?x", "index.html"),
            ("http://user@a/b", "a", 80, "/b", "b"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((&*target.host, target.port, &*target.path), (host, port, path), "{url}");
            assert_eq!(target.file_name(), file, "{url}");
        }
        let target = Target::parse("http://a:81/b/c").unwrap();
        assert_eq!(target.relative("d"), "http://a:81/b/d");
        assert_eq!(target.relative("/d"), "http://a:81/d");
        assert_eq!(target.relative("http://e/"), "http://e/");
        assert!(Target::parse("https://a").is_err());
    }
}
