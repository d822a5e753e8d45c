"""Octavo through its C API."""
import ctypes

import numpy


class Options(ctypes.Structure):
    _fields_ = [("max_batch", ctypes.c_int64), ("threads", ctypes.c_int), ("input", ctypes.c_int),
                ("mean", ctypes.c_void_p), ("std", ctypes.c_void_p)]


FLOATS_NCHW = 2


class Engine:
    name = "Octavo"

    def __init__(self, library, file, batch, threads):
        self.api = ctypes.CDLL(library)
        self.api.octavo_last_error.restype = ctypes.c_char_p
        self.api.octavo_model_classes.restype = ctypes.c_int64
        self.model, self.context, self.batch = ctypes.c_void_p(), ctypes.c_void_p(), batch
        options = Options(max_batch=batch, threads=threads, input=FLOATS_NCHW)
        self.check(self.api.octavo_model_load(file.encode(), ctypes.byref(options), ctypes.byref(self.model)))
        self.check(self.api.octavo_context_create(self.model, ctypes.byref(self.context)))
        self.logits = numpy.zeros((batch, self.api.octavo_model_classes(self.model)), numpy.float32)

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.api.octavo_last_error().decode())

    def prepare(self, images):
        """What run() needs of the images, outside the timed part."""
        self.images = numpy.ascontiguousarray(images)
        self.arguments = (self.context, self.images.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(self.batch),
                          self.logits.ctypes.data_as(ctypes.c_void_p))

    def run(self):
        self.check(self.api.octavo_run(*self.arguments))
        return self.logits
