//! What happens when the system has no memory left: an error, and an engine that goes on.
//!
//! Limits are the process's, and memory of threads other than the main one is set aside beforehand: so this is a
//! program of its own, without the harness.

// The extension module brings it along.
#[cfg(not(feature = "python"))]
#[global_allocator]
static ALLOCATOR: cnnrs::reserve::Reserve = cnnrs::reserve::Reserve;

fn main() {
    #[cfg(target_os = "linux")]
    {
        limits::a_graph_that_cannot_fit_is_refused_before_it_is_made();
        limits::work_without_memory_is_an_error_and_not_the_end();
    }
}

#[cfg(target_os = "linux")]
mod limits {
    use cnnrs::ops::Attributes;
    use cnnrs::reserve;
    use cnnrs::{DType, ErrorKind, Fact, Result, Tensor, Trace, Variable};

    /// Does `work` while the process may take `more` bytes beyond what it has.
    fn with_limit<T>(more: u64, work: impl FnOnce() -> T) -> T {
        let used = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = used.split(' ').next().unwrap().parse().unwrap();
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both are valid for the calls, which change the soft limit alone.
        unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut before), 0);
            let limited = libc::rlimit { rlim_cur: pages * 4096 + more, ..before };
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limited), 0);
        }
        let result = work();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &before) }, 0);
        result
    }

    fn chain(mut x: Tensor, nodes: usize) -> Result<Tensor> {
        for _ in 0..nodes {
            x = Tensor::apply_named("tanh", &[x], Attributes::default())?;
        }
        Ok(x)
    }

    fn recorded() -> Result<()> {
        chain(Tensor::from_slice(&[4], &[0.5f32; 4])?, 9000)?.realise()
    }

    fn traced() -> Result<()> {
        let trace = Trace::enter();
        let x = trace.placeholder(Fact::new([4], DType::F32), "x");
        let y = chain(x, 8000)?;
        trace.compile(&[y]).map(drop)
    }

    fn variables() -> Result<()> {
        let zero = Tensor::from_slice(&[4], &[0f32; 4])?;
        let made: Result<Vec<Variable>> = (0..100_000).map(|_| Variable::new(&zero, true, "")).collect();
        made.map(drop)
    }

    pub fn work_without_memory_is_an_error_and_not_the_end() {
        reserve::set_aside();
        for (name, work) in [("recorded", recorded as fn() -> Result<()>), ("traced", traced), ("variables", variables)]
        {
            let mut refused = 0;
            for step in 0..24 {
                // What earlier work left to the allocator goes back to the system.
                cnnrs::release_memory();
                let error = with_limit(step << 17, work).err();
                assert!(error.as_ref().is_none_or(|e| e.kind == ErrorKind::Memory), "{name}: {error:?}");
                refused += usize::from(error.is_some());
                // With memory it goes on at once.
                let x = Tensor::from_slice(&[2], &[0.25f32, -0.5]).unwrap();
                let y = x.apply_binary("add", &x).and_then(|y| y.to_vec::<f32>());
                assert_eq!(y.unwrap(), [0.5, -1.0], "{name} at {step}");
            }
            assert!(refused > 0, "{name}: no limit was too low");
            work().unwrap();
        }
    }

    pub fn a_graph_that_cannot_fit_is_refused_before_it_is_made() {
        let x = Tensor::from_slice::<f32>(&[0], &[]).unwrap();
        assert!(reserve::room(1 << 62).is_err_and(|e| e.kind == ErrorKind::Memory));
        assert!(reserve::room(10).is_ok());
        assert!(x.apply_binary("add", &x).is_ok());
    }
}
