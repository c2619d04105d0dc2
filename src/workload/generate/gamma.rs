//! The gamma distribution's cumulative distribution function, on `libm` only.

/// P(X <= x) for X ~ gamma(shape, scale): the regularized lower incomplete gamma function.
/// Series below the mean, continued fraction (Lentz) above it; relative error about 1e-12
/// (Abramowitz and Stegun 6.5.29 and 6.5.31).
pub(super) fn gamma_cdf(x: f64, shape: f64, scale: f64) -> f64 {
    let x = x / scale;
    if x <= 0.0 {
        return 0.0;
    }
    let front = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x < shape + 1.0 { front * series(x, shape) } else { 1.0 - front * fraction(x, shape) }
}

const EPSILON: f64 = 1e-14;
const MAX_TERMS: u32 = 10_000;

fn series(x: f64, shape: f64) -> f64 {
    let mut term = 1.0 / shape;
    let mut sum = term;
    for n in 1..MAX_TERMS {
        term *= x / (shape + f64::from(n));
        sum += term;
        if term < sum * EPSILON {
            break;
        }
    }
    sum
}

fn fraction(x: f64, shape: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - shape;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut product = d;
    for n in 1..MAX_TERMS {
        let n = f64::from(n);
        let a = -n * (n - shape);
        b += 2.0;
        d = 1.0 / not_zero(a * d + b, TINY);
        c = not_zero(b + a / c, TINY);
        product *= d * c;
        if (d * c - 1.0).abs() < EPSILON {
            break;
        }
    }
    product
}

fn not_zero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

#[cfg(test)]
mod tests {
    use super::gamma_cdf;

    #[test]
    fn known_values() {
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got} against {want}");
        near(gamma_cdf(2.0, 1.0, 2.0), 1.0 - libm::exp(-1.0));
        // An Erlang distribution of shape 3 has a closed form.
        let erlang = |x: f64| 1.0 - libm::exp(-x) * (1.0 + x + x * x / 2.0);
        for x in [0.1, 1.0, 3.0, 4.5, 12.0, 40.0] {
            near(gamma_cdf(x, 3.0, 1.0), erlang(x));
        }
        near(gamma_cdf(0.5, 0.5, 1.0), libm::erf(libm::sqrt(0.5)));
        near(gamma_cdf(-1.0, 2.0, 1.0), 0.0);
    }
}
