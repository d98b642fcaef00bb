//! An image under way: a view of the input, or planes of floats.

use super::wide;

/// The elements of an input.
#[derive(Clone, Copy)]
pub enum Elements<'a> {
    Bytes(&'a [u8]),
    Floats(&'a [f32]),
}

/// A window of the input, mirrored or not. No pixel is moved before somebody reads them.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub elements: Elements<'a>,
    pub channels: usize,
    /// Elements from one row to the next, from one column to the next, and from one channel to the next.
    pub strides: (usize, usize, usize),
    pub top: usize,
    pub left: usize,
    pub rows: usize,
    pub columns: usize,
    pub across: bool,
    pub down: bool,
}

impl View<'_> {
    /// A window of the view.
    pub fn cut(&mut self, top: usize, left: usize, rows: usize, columns: usize) {
        let (top, left) = (top.min(self.rows - rows), left.min(self.columns - columns));
        self.top += if self.down { self.rows - rows - top } else { top };
        self.left += if self.across { self.columns - columns - left } else { left };
        (self.rows, self.columns) = (rows, columns);
    }

    /// Where the elements of row `y` begin, for its first column in memory.
    pub fn row(&self, y: usize) -> usize {
        let y = if self.down { self.rows - 1 - y } else { y };
        (self.top + y) * self.strides.0 + self.left * self.strides.1
    }

    /// The view as planes.
    pub fn planes(&self) -> Planes {
        let mut planes = Planes::new(self.rows, self.columns, self.channels);
        for y in 0..self.rows {
            self.read(y, &mut planes, y);
        }
        planes
    }

    /// Row `y` as planes of one row.
    pub fn read_row(&self, y: usize, to: &mut Planes) {
        self.read(y, to, 0);
    }

    /// Row `y` as row `to_y` of planes.
    fn read(&self, y: usize, planes: &mut Planes, to_y: usize) {
        let start = self.row(y);
        if let (Elements::Bytes(all), (_, 3, 1), 3) = (self.elements, self.strides, self.channels) {
            let width = self.columns;
            let (red, rest) = planes.data.split_at_mut(planes.height * width);
            let (green, blue) = rest.split_at_mut(planes.height * width);
            let [red, green, blue] = [red, green, blue].map(|plane| &mut plane[to_y * width..][..width]);
            split_colors(&all[start..start + 3 * width], red, green, blue);
            if self.across {
                [red, green, blue].into_iter().for_each(|row| row.reverse());
            }
            return;
        }
        for c in 0..self.channels {
            let to = &mut planes.data[(c * planes.height + to_y) * self.columns..][..self.columns];
            let from = start + c * self.strides.2;
            match self.elements {
                Elements::Bytes(all) => spread(&all[from..], self.strides.1, to, f32::from),
                Elements::Floats(all) => spread(&all[from..], self.strides.1, to, |v| v),
            }
            if self.across {
                to.reverse();
            }
        }
    }
}

wide! {
    /// The colours of pixels, apart.
    fn split_colors(from: &[u8], red: &mut [f32], green: &mut [f32], blue: &mut [f32]) {
        let count = red.len();
        let (from, green, blue) = (&from[..3 * count], &mut green[..count], &mut blue[..count]);
        for i in 0..count {
            red[i] = f32::from(from[3 * i]);
            green[i] = f32::from(from[3 * i + 1]);
            blue[i] = f32::from(from[3 * i + 2]);
        }
    }

    /// The colours of pixels, side by side.
    pub fn join_colors(red: &[f32], green: &[f32], blue: &[f32], to: &mut [f32]) {
        let count = red.len();
        let (to, green, blue) = (&mut to[..3 * count], &green[..count], &blue[..count]);
        for i in 0..count {
            to[3 * i] = red[i];
            to[3 * i + 1] = green[i];
            to[3 * i + 2] = blue[i];
        }
    }
}

/// Every `stride`-th element.
fn spread<T: Copy>(from: &[T], stride: usize, to: &mut [f32], float: impl Fn(T) -> f32) {
    match stride {
        1 => to.iter_mut().zip(from).for_each(|(t, &f)| *t = float(f)),
        3 => to.iter_mut().zip(from.chunks(3)).for_each(|(t, f)| *t = float(f[0])),
        _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, &f)| *t = float(f)),
    }
}

/// Floats, one plane after another of each channel.
#[derive(Clone, Default)]
pub struct Planes {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub data: Vec<f32>,
}

impl Planes {
    pub fn new(height: usize, width: usize, channels: usize) -> Self {
        Planes { height, width, channels, data: vec![0.0; height * width * channels] }
    }

    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    pub fn each_plane(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        let pixels = self.pixels();
        self.data.chunks_exact_mut(pixels.max(1))
    }

    /// Mirrors along the axes that are asked for.
    pub fn flip(&mut self, across: bool, down: bool) {
        let width = self.width;
        if across {
            self.data.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        if down {
            let height = self.height;
            for plane in self.each_plane() {
                for y in 0..height / 2 {
                    let (upper, lower) = plane.split_at_mut((height - 1 - y) * width);
                    upper[y * width..][..width].swap_with_slice(&mut lower[..width]);
                }
            }
        }
    }

    /// A window.
    pub fn cut(&self, top: usize, left: usize, rows: usize, columns: usize) -> Planes {
        let (top, left) = (top.min(self.height - rows), left.min(self.width - columns));
        let mut window = Planes::new(rows, columns, self.channels);
        for (to, from) in window.each_plane().zip(self.data.chunks_exact(self.pixels())) {
            for (y, row) in to.chunks_exact_mut(columns).enumerate() {
                row.copy_from_slice(&from[(top + y) * self.width + left..][..columns]);
            }
        }
        window
    }

    /// With margins.
    pub fn padded(&self, top: usize, left: usize, rows: usize, columns: usize, value: f32) -> Planes {
        let mut padded = Planes::new(rows, columns, self.channels);
        padded.data.fill(value);
        for (to, from) in padded.each_plane().zip(self.data.chunks_exact(self.pixels())) {
            for (y, row) in from.chunks_exact(self.width).enumerate() {
                to[(top + y) * columns + left..][..self.width].copy_from_slice(row);
            }
        }
        padded
    }

    /// The planes as a view of `elements`, which are theirs.
    pub fn view(&self) -> View<'_> {
        View {
            elements: Elements::Floats(&self.data),
            channels: self.channels,
            strides: (self.width, 1, self.pixels()),
            top: 0,
            left: 0,
            rows: self.height,
            columns: self.width,
            across: false,
            down: false,
        }
    }
}

/// An image under way.
pub enum Picture<'a> {
    View(View<'a>),
    Planes(Planes),
}

impl Picture<'_> {
    /// The picture as planes, which it is from then on.
    pub fn planes(&mut self) -> &mut Planes {
        if let Picture::View(view) = self {
            *self = Picture::Planes(view.planes());
        }
        match self {
            Picture::Planes(planes) => planes,
            Picture::View(_) => unreachable!("made to planes above"),
        }
    }

    pub fn size(&self) -> (usize, usize) {
        match self {
            Picture::View(view) => (view.rows, view.columns),
            Picture::Planes(planes) => (planes.height, planes.width),
        }
    }
}
