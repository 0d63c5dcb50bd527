"""A straight line by gradient descent."""

MOMENTUM = 0.9


def predict(weights, x):
    return weights[0] + weights[1] * x


def fit(rows, start, rate, steps, penalty):
    weights, speed = [start, start], [0.0, 0.0]
    for _ in range(steps):
        errors = [(predict(weights, x) - y, x) for x, y in rows]
        slopes = [
            sum(error for error, _ in errors) / len(rows),
            sum(error * x for error, x in errors) / len(rows) + penalty * weights[1],
        ]
        speed = [MOMENTUM * old - rate * slope for old, slope in zip(speed, slopes)]
        weights = [weight + change for weight, change in zip(weights, speed)]
    return weights
