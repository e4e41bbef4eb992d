// The pybind11 binding: opens the core of one build and speaks NumPy. Knows nothing of ncnn.
#include <dlfcn.h>
#include <stdlib.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "core.h"
#include "crash_trace.h"

namespace py = pybind11;

namespace {

typedef py::array_t<float, py::array::c_style | py::array::forcecast> FloatArray;

class Core
{
public:
    explicit Core(const std::string& path)
        : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
    {
        if (!handle_)
            throw std::runtime_error(dlerror());
        resolve(abi, "hx_abi");
        if (abi() != HX_ABI)
            throw std::runtime_error(path + ": built for another version of the harness; rebuild it");
        resolve(option_count, "hx_option_count");
        resolve(option_name, "hx_option_name");
        resolve(option_is_bool, "hx_option_is_bool");
        resolve(net_new, "hx_net_new");
        resolve(net_delete, "hx_net_delete");
        resolve(net_set_option, "hx_net_set_option");
        resolve(net_get_option, "hx_net_get_option");
        resolve(net_load_param, "hx_net_load_param");
        resolve(net_load_model, "hx_net_load_model");
        resolve(net_layer_on_device, "hx_net_layer_on_device");
        resolve(device_count, "hx_device_count");
        resolve(device_text, "hx_device_text");
        resolve(extractor_new, "hx_extractor_new");
        resolve(extractor_delete, "hx_extractor_delete");
        resolve(extractor_input, "hx_extractor_input");
        resolve(extractor_extract, "hx_extractor_extract");
    }

    // The library stays open until the process ends: ncnn's static objects and OpenMP's threads
    // outlive any object here.

    decltype(&hx_abi) abi;
    decltype(&hx_option_count) option_count;
    decltype(&hx_option_name) option_name;
    decltype(&hx_option_is_bool) option_is_bool;
    decltype(&hx_net_new) net_new;
    decltype(&hx_net_delete) net_delete;
    decltype(&hx_net_set_option) net_set_option;
    decltype(&hx_net_get_option) net_get_option;
    decltype(&hx_net_load_param) net_load_param;
    decltype(&hx_net_load_model) net_load_model;
    decltype(&hx_net_layer_on_device) net_layer_on_device;
    decltype(&hx_device_count) device_count;
    decltype(&hx_device_text) device_text;
    decltype(&hx_extractor_new) extractor_new;
    decltype(&hx_extractor_delete) extractor_delete;
    decltype(&hx_extractor_input) extractor_input;
    decltype(&hx_extractor_extract) extractor_extract;

private:
    template<typename F>
    void resolve(F& function, const char* name)
    {
        function = reinterpret_cast<F>(dlsym(handle_, name));
        if (!function)
            throw std::runtime_error(dlerror());
    }

    void* handle_;
};

typedef std::shared_ptr<Core> CorePtr;

void check(int code, const std::string& what)
{
    switch (code)
    {
    case HX_OK:
        return;
    case HX_UNKNOWN_OPTION:
        throw py::key_error(what + ": this build of ncnn has no such option");
    case HX_PARAM_FAILED:
        throw std::runtime_error(what + ": ncnn could not load the .param file");
    case HX_BIN_FAILED:
        throw std::runtime_error(what + ": ncnn could not load the .bin file");
    case HX_UNKNOWN_BLOB:
        throw py::key_error(what + ": the model has no such blob");
    case HX_TOO_MANY_DIMS:
        throw py::value_error(what + ": this build of ncnn cannot hold a tensor of that rank");
    case HX_OUT_OF_MEMORY:
        throw std::bad_alloc();
    default:
        throw std::runtime_error(what + ": ncnn could not compute this blob");
    }
}

class Pass
{
public:
    Pass(CorePtr core, std::shared_ptr<hx_net> net, bool keep_intermediate)
        : core_(core), net_(net), extractor_(core->extractor_new(net.get(), keep_intermediate))
    {
    }
    ~Pass() { core_->extractor_delete(extractor_); }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

    void input(const std::string& blob, FloatArray array)
    {
        hx_tensor tensor = {};
        if (array.ndim() < 1 || array.ndim() > HX_MAX_DIMS)
            throw py::value_error(blob + ": ncnn takes tensors of rank 1 to 4");
        tensor.dims = static_cast<int>(array.ndim());
        for (int i = 0; i < tensor.dims; i++)
            tensor.shape[i] = static_cast<int>(array.shape(i));
        // Only read from; the array itself may be a read-only map of a file.
        tensor.data = const_cast<float*>(array.data());
        check(core_->extractor_input(extractor_, blob.c_str(), &tensor), blob);
    }

    py::array extract(const std::string& blob)
    {
        hx_tensor tensor = {};
        int code;
        {
            py::gil_scoped_release release;
            code = core_->extractor_extract(extractor_, blob.c_str(), &tensor);
        }
        check(code, blob);
        const std::vector<py::ssize_t> shape(tensor.shape, tensor.shape + tensor.dims);
        // hx_tensor_free is free(); a capsule cannot carry the core along.
        py::capsule owner(tensor.data, [](void* data) { free(data); });
        return py::array_t<float>(shape, tensor.data, owner);
    }

private:
    CorePtr core_;
    std::shared_ptr<hx_net> net_;
    hx_extractor* extractor_;
};

class Net
{
public:
    explicit Net(CorePtr core)
        : core_(core), net_(core->net_new(), [core](hx_net* net) { core->net_delete(net); })
    {
    }

    void set_option(const std::string& name, int value)
    {
        check(core_->net_set_option(net_.get(), name.c_str(), value), name);
    }

    py::dict options() const
    {
        py::dict result;
        for (int i = 0; i < core_->option_count(); i++)
        {
            const char* name = core_->option_name(i);
            int value = 0;
            core_->net_get_option(net_.get(), name, &value);
            if (core_->option_is_bool(i))
                result[name] = py::bool_(value != 0);
            else
                result[name] = py::int_(value);
        }
        return result;
    }

    void load_param(const std::string& path)
    {
        check(core_->net_load_param(net_.get(), path.c_str()), path);
    }

    void load_model(const std::string& path)
    {
        check(core_->net_load_model(net_.get(), path.c_str()), path);
    }

    int layer_on_device(int index) const
    {
        return core_->net_layer_on_device(net_.get(), index);
    }

    std::unique_ptr<Pass> forward(bool keep_intermediate)
    {
        return std::unique_ptr<Pass>(new Pass(core_, net_, keep_intermediate));
    }

private:
    CorePtr core_;
    std::shared_ptr<hx_net> net_;
};

} // namespace

PYBIND11_MODULE(ncnn_binding, m)
{
    m.doc() = "Runs models with one build of ncnn.";
    m.def("trace_crashes", [](const std::string& path) { return hx_trace_crashes(path.c_str()); },
          py::arg("path"),
          "Has fatal signals write to a file where the process is; whether it is so.");
    py::class_<Core, CorePtr>(m, "Core", "One build of ncnn, opened from its shared library.")
        .def(py::init<const std::string&>(), py::arg("path"))
        .def("device_count", [](const Core& core) { return core.device_count(); },
             "Number of Vulkan devices; -1 if the build has no Vulkan.")
        .def("device_text", [](const Core& core) { return std::string(core.device_text()); },
             "The default Vulkan device as lines `key value`.");
    py::class_<Net>(m, "Net", "A network; options belong before the loading.")
        .def(py::init<CorePtr>(), py::arg("core"))
        .def("set_option", &Net::set_option, py::arg("name"), py::arg("value"))
        .def("options", &Net::options, "All fields of ncnn::Option with their values.")
        .def("load_param", &Net::load_param, py::arg("path"))
        .def("load_model", &Net::load_model, py::arg("path"))
        .def("layer_on_device", &Net::layer_on_device, py::arg("index"),
             "1 if the layer runs on the Vulkan device, 0 if on the CPU, -1 if not knowable.")
        .def("forward", &Net::forward, py::arg("keep_intermediate") = false);
    py::class_<Pass>(m, "Pass", "One forward pass.")
        .def("input", &Pass::input, py::arg("blob"), py::arg("array"))
        .def("extract", &Pass::extract, py::arg("blob"));
}
