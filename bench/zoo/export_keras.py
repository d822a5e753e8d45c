"""One of Keras's applications with random weights as an ONNX file for each task (serve.py). TensorFlow is loaded for each: its
threads do not outlive a fork."""
import os

from serve import serve

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Their own first layers make what they want of pixels from 0 to 255.
RAW = ("EfficientNet", "ConvNeXt", "MobileNetV3")


def settle(model, images):
    """As export_torch.py does: layer scales of 1e-6 and batch statistics that are those of no data."""
    import keras
    import numpy
    generator = numpy.random.default_rng(0)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(generator.uniform(0.5, 1, layer.gamma.shape))
    for norm in norms:
        norm.momentum = 0.0
    # Which also builds what is exported.
    model(images, training=bool(norms))


def work(task):
    import keras
    import numpy
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    size = task["size"]
    # A fixed size everywhere: NASNet and EfficientNetV2 take others only so.
    model = getattr(keras.applications, task["name"])(weights=None, input_shape=(size, size, 3))
    raw = task["name"].startswith(RAW)
    small = numpy.random.default_rng(0).standard_normal((16, 12, 12, 3)).astype("float32")
    images = tensorflow.image.resize(small, (size, size), method="bicubic")
    settle(model, images * 60 + 127 if raw else images)
    model.export(task["path"], format="onnx", verbose=False)
    return {"size": size, "dynamic_batch": True, "parameters": model.count_params(),
            "mean": 0.0 if raw else 0.5, "std": 1 / 255 if raw else 0.5}


if __name__ == "__main__":
    serve(work)
