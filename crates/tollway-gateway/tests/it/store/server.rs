//! Real servers for the stores that need one: each in a folder of its own, reached over a socket in
//! that folder and so on no port at all. They end with the test, however it ends.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tollway_gateway::store::StoreUrl;

/// How long a server may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(60);
/// `required`: a server that is not installed fails the test instead of skipping it.
const REQUIRED: &str = "TOLLWAY_TEST_SERVERS";

/// One kind of server.
pub(crate) trait Kind {
    /// The program, and where to look for it besides the path.
    const PROGRAM: &'static str;
    /// What ends it as a crash would.
    const CRASH: &'static str;
    /// Makes what must be there before the first start.
    fn prepare(program: &Path, folder: &Path) -> io::Result<()>;
    /// Its arguments.
    fn arguments(folder: &Path) -> Vec<String>;
    /// The URL of one of its databases, by number.
    fn url(folder: &Path, number: u32) -> String;
    /// What must be done before a database can be used.
    fn create(folder: &Path, number: u32) -> Option<(String, String)>;
}

pub(crate) enum Postgres {}
pub(crate) enum Redis {}

/// A server that runs.
pub(crate) struct Server {
    folder: TempDir,
    arguments: Vec<String>,
    program: PathBuf,
    crash: &'static str,
    url: fn(&Path, u32) -> String,
    create: fn(&Path, u32) -> Option<(String, String)>,
    made: AtomicU32,
    child: Mutex<Option<Child>>,
}

impl Kind for Postgres {
    const PROGRAM: &'static str = "postgres";
    // An immediate shutdown: nothing is written, and the next start recovers.
    const CRASH: &'static str = "QUIT";

    fn prepare(program: &Path, folder: &Path) -> io::Result<()> {
        let real = fs::canonicalize(program)?;
        let initdb = real.with_file_name("initdb");
        let mut command = Command::new(initdb);
        command.arg("-D").arg(folder.join("data"));
        command.args(["-U", "tollway", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]);
        as_somebody(&mut command, folder)?;
        let output = command.current_dir(folder).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn arguments(folder: &Path) -> Vec<String> {
        let place = folder.display();
        ["-D", &format!("{place}/data"), "-k", &place.to_string(), "-c", "listen_addresses=", "-F"]
            .map(str::to_owned)
            .into()
    }

    fn url(folder: &Path, number: u32) -> String {
        format!("postgres:///t{number}?host={}&user=tollway", folder.display())
    }

    fn create(folder: &Path, number: u32) -> Option<(String, String)> {
        let admin = format!("host={} user=tollway dbname=postgres", folder.display());
        Some((admin, format!("CREATE DATABASE t{number}")))
    }
}

impl Kind for Redis {
    const PROGRAM: &'static str = "redis-server";
    const CRASH: &'static str = "KILL";

    fn prepare(_: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn arguments(folder: &Path) -> Vec<String> {
        let place = folder.display();
        let socket = format!("{place}/redis.sock");
        ["--port", "0", "--unixsocket", &socket, "--dir", &place.to_string(), "--save", ""]
            .into_iter()
            .chain(["--appendonly", "yes", "--appendfsync", "always", "--databases", "64"])
            .map(str::to_owned)
            .collect()
    }

    fn url(folder: &Path, number: u32) -> String {
        format!("redis+unix://{}/redis.sock?db={number}", folder.display())
    }

    fn create(_: &Path, _: u32) -> Option<(String, String)> {
        None
    }
}

impl Server {
    /// Starts one, or says loudly that the test is skipped.
    pub(crate) async fn start<K: Kind>() -> Option<Self> {
        let program = find(K::PROGRAM).or_else(|| {
            let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
            assert!(!required, "{} is not installed, and {REQUIRED}=required", K::PROGRAM);
            eprintln!("SKIPPED: {} is not installed", K::PROGRAM);
            None
        })?;
        let folder = tempfile::Builder::new().prefix("tollway").tempdir().unwrap();
        K::prepare(&program, folder.path()).unwrap();
        let server = Self {
            arguments: K::arguments(folder.path()),
            folder,
            program,
            crash: K::CRASH,
            url: K::url,
            create: K::create,
            made: AtomicU32::new(0),
            child: Mutex::new(None),
        };
        server.run();
        Some(server)
    }

    /// One that all tests which run at the same time share; it ends when none of them is left.
    pub(crate) async fn shared<K: Kind>() -> Option<Arc<Self>> {
        static SHARED: tokio::sync::Mutex<Weak<Server>> =
            tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start::<K>().await?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// The URL of a database that nobody has used.
    pub(crate) async fn fresh(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        if let Some((admin, sql)) = (self.create)(self.folder.path(), number) {
            self.until_it_answers(async || {
                let (client, connection) =
                    tokio_postgres::connect(&admin, tokio_postgres::NoTls).await.ok()?;
                let connection = tokio::spawn(connection);
                client.batch_execute(&sql).await.unwrap();
                connection.abort();
                Some(())
            })
            .await;
        }
        let url = (self.url)(self.folder.path(), number);
        self.ready(&url).await;
        url
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&self, url: &str) {
        let url = StoreUrl::parse(url).unwrap();
        self.until_it_answers(async || url.open().await.ok().map(drop)).await;
    }

    async fn until_it_answers(&self, ask: impl AsyncFn() -> Option<()>) {
        let started = Instant::now();
        while ask().await.is_none() {
            assert!(started.elapsed() < PATIENCE, "{} does not answer", self.program.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts it again, in the folder where it was.
    pub(crate) fn run(&self) {
        // A shell that ends the server when its own input ends: with this process, at the latest.
        let script = format!(
            r#""$@" >&2 & server=$!; cat >/dev/null; kill -{} $server; wait $server"#,
            self.crash
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script, "server"]).arg(&self.program).args(&self.arguments);
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        as_somebody(&mut command, self.folder.path()).unwrap();
        *self.child.lock().unwrap() =
            Some(command.current_dir(self.folder.path()).spawn().unwrap());
    }

    /// Ends it as a crash would, and returns when it is gone.
    pub(crate) fn crash(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    std::env::split_paths(&path)
        .chain(debian.map(|version| version.path().join("bin")))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// PostgreSQL does not run as root. Where the tests do, it runs as nobody.
fn as_somebody(command: &mut Command, folder: &Path) -> io::Result<()> {
    const NOBODY: u32 = 65534;
    let output = Command::new("id").arg("-u").output()?;
    if output.stdout.trim_ascii() == b"0" {
        chown(folder, Some(NOBODY), Some(NOBODY))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        command.uid(NOBODY).gid(NOBODY);
    }
    Ok(())
}
