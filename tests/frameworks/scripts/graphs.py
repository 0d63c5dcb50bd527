"""TensorFlow with its Keras, as users write it: without seeds."""

import json

import keras
import numpy as np
import tensorflow as tf

results = {
    "tensorflow": [*tf.random.normal((3,)).numpy().tolist(), *tf.random.uniform((2,)).numpy().tolist()]
}

x = np.linspace(-1, 1, 96).reshape(32, 3).astype("float32")
model = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.3), keras.layers.Dense(1)])
model.compile("adam", "mse")
history = model.fit(x, x[:, :1] ** 2, epochs=2, batch_size=8, verbose=0)
results["keras"] = [*history.history["loss"], *model.predict(x[:2], verbose=0).ravel().tolist()]

rows = tf.data.Dataset.range(50).shuffle(50).map(lambda n: tf.cast(n, tf.float32) + tf.random.normal(()))
results["tf_data"] = [float(row) for row in rows]

with open("result.json", "w") as file:
    json.dump(results, file)
