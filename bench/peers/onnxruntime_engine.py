"""ONNX Runtime through its C ABI: the shared library inside the npm package, called by position in its table of
functions (which only ever grows at its end)."""
import ctypes

import numpy

API_VERSION = 16
# Positions in OrtApi.
GET_ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION, RUN, CREATE_SESSION_OPTIONS = 2, 3, 7, 9, 10
SET_INTRA_OP_THREADS, CREATE_TENSOR_WITH_DATA, CREATE_CPU_MEMORY_INFO, ADD_SESSION_CONFIG_ENTRY = 24, 49, 69, 130
WARNING, FLOAT, DEVICE_ALLOCATOR, MEM_DEFAULT = 2, 1, 0, 0


class Base(ctypes.Structure):
    _fields_ = [("get_api", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
                ("get_version", ctypes.CFUNCTYPE(ctypes.c_char_p))]


class Engine:
    """`exact`: with its int8 kernels that never saturate."""

    def __init__(self, library, file, batch, threads, input_name, output_name, classes, exact):
        loaded = ctypes.CDLL(library)
        loaded.OrtGetApiBase.restype = ctypes.POINTER(Base)
        base = loaded.OrtGetApiBase().contents
        self.version = base.get_version().decode()
        self.table = ctypes.cast(base.get_api(API_VERSION), ctypes.POINTER(ctypes.c_void_p))
        p = ctypes.c_void_p
        env, options, self.memory = p(), p(), p()
        self.session, self.output = p(), p()
        self.call(CREATE_ENV, ctypes.c_int(WARNING), b"bench", ctypes.byref(env))
        self.call(CREATE_SESSION_OPTIONS, ctypes.byref(options))
        self.call(SET_INTRA_OP_THREADS, options, ctypes.c_int(threads))
        if exact:
            self.call(ADD_SESSION_CONFIG_ENTRY, options, b"session.x64quantprecision", b"1")
        self.call(CREATE_SESSION, env, file.encode(), options, ctypes.byref(self.session))
        self.call(CREATE_CPU_MEMORY_INFO, ctypes.c_int(DEVICE_ALLOCATOR), ctypes.c_int(MEM_DEFAULT),
                  ctypes.byref(self.memory))
        self.logits = numpy.zeros((batch, classes), numpy.float32)
        self.output = self.tensor(self.logits)
        self.names = (ctypes.c_char_p(input_name.encode()), ctypes.c_char_p(output_name.encode()))

    def call(self, position, *arguments):
        function = ctypes.cast(self.table[position], ctypes.CFUNCTYPE(ctypes.c_void_p, *map(type_of, arguments)))
        status = function(*arguments)
        if status:
            message = ctypes.cast(self.table[GET_ERROR_MESSAGE], ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p))
            raise RuntimeError(message(status).decode())

    def tensor(self, array):
        """A tensor over the array's own memory."""
        value = ctypes.c_void_p()
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        self.call(CREATE_TENSOR_WITH_DATA, self.memory, array.ctypes.data_as(ctypes.c_void_p),
                  ctypes.c_size_t(array.nbytes), ctypes.cast(shape, ctypes.c_void_p), ctypes.c_size_t(array.ndim),
                  ctypes.c_int(FLOAT), ctypes.byref(value))
        return value

    def prepare(self, images):
        self.images = numpy.ascontiguousarray(images)
        self.input = self.tensor(self.images)
        self.run_function = ctypes.cast(self.table[RUN], ctypes.CFUNCTYPE(ctypes.c_void_p, *[ctypes.c_void_p] * 4,
                                                                          ctypes.c_size_t, ctypes.c_void_p,
                                                                          ctypes.c_size_t, ctypes.c_void_p))
        address = ctypes.addressof
        self.arguments = (self.session, None, address(self.names[0]), address(self.input), 1, address(self.names[1]), 1,
                          address(self.output))

    def run(self):
        if self.run_function(*self.arguments):
            raise RuntimeError("ONNX Runtime: Run failed")
        return self.logits


def type_of(argument):
    if isinstance(argument, bytes):
        return ctypes.c_char_p
    return type(argument) if isinstance(argument, ctypes._SimpleCData) else ctypes.c_void_p
