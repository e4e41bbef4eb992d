// The runner, for targets that Python does not run on: opens the core of one build and
// follows a script. Tensors are .npy files (float32, C order). Knows nothing of ncnn.
//
//   runner CORE SCRIPT
//
// A script has one command a line; a path is the rest of its line.     Answers on stdout
//   set NAME VALUE       set an option
//   param PATH           load a .param file
//   model PATH           load a .bin file
//   options              tell all options                               option NAME bool|int VALUE
//   devices              look for Vulkan devices                        devices COUNT
//                        and describe the default one                   device KEY VALUE
//   places COUNT         tell where the first COUNT layers run          place -1|0|1
//   pass KEEP            begin a forward pass
//   input BLOB PATH      feed a blob
//   extract BLOB PATH    take a blob out                                blob NAME CODE
//   end                  end the pass                                   seconds TIME
// A command that fails answers `error CODE COMMAND` and ends the program with exit code 1.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core.h"

namespace {

void* library = 0;

template<typename F>
F resolve(const char* name)
{
    void* symbol = dlsym(library, name);
    if (!symbol)
        throw std::runtime_error(dlerror());
    return reinterpret_cast<F>(symbol);
}
#define CORE(name) resolve<decltype(&name)>(#name)

// The header of a .npy file, format version 1.0: https://numpy.org/doc/stable/reference/
// generated/numpy.lib.format.html
const char MAGIC[] = "\x93NUMPY\x01";
const size_t PREAMBLE = 10;
const size_t ALIGNMENT = 64;

std::vector<float> read_npy(const std::string& path, hx_tensor* tensor)
{
    std::ifstream in(path.c_str(), std::ios::binary);
    char preamble[PREAMBLE];
    if (!in.read(preamble, PREAMBLE) || memcmp(preamble, MAGIC, sizeof(MAGIC) - 1) != 0)
        throw std::runtime_error(path + ": not a .npy file of version 1.0");
    const unsigned char* bytes = reinterpret_cast<unsigned char*>(preamble);
    std::string header(bytes[8] | bytes[9] << 8, ' ');
    in.read(&header[0], header.size());
    const size_t open = header.find("'shape': (");
    if (header.find("'<f4'") == std::string::npos || header.find("True") != std::string::npos
        || open == std::string::npos)
        throw std::runtime_error(path + ": not a float32 array in C order");
    std::istringstream shape(header.substr(open + strlen("'shape': (")));
    size_t total = 1;
    tensor->dims = 0;
    for (int axis; tensor->dims < HX_MAX_DIMS && shape >> axis; shape.ignore(1, ','))
    {
        tensor->shape[tensor->dims++] = axis;
        total *= axis;
    }
    std::vector<float> data(total);
    if (!in.read(reinterpret_cast<char*>(data.data()), total * sizeof(float)))
        throw std::runtime_error(path + ": truncated");
    return data;
}

void write_npy(const std::string& path, const hx_tensor& tensor)
{
    std::ostringstream header;
    header << "{'descr': '<f4', 'fortran_order': False, 'shape': (";
    size_t total = 1;
    for (int i = 0; i < tensor.dims; i++)
    {
        header << tensor.shape[i] << ",";
        total *= tensor.shape[i];
    }
    header << ")}";
    std::string text = header.str();
    text.append(ALIGNMENT - 1 - (PREAMBLE + text.size()) % ALIGNMENT, ' ').append("\n");
    const char length[] = {0, (char)(text.size() & 255), (char)(text.size() >> 8)};
    std::ofstream out(path.c_str(), std::ios::binary);
    out.write(MAGIC, sizeof(MAGIC) - 1).write(length, sizeof(length));
    out << text;
    out.write(reinterpret_cast<const char*>(tensor.data), total * sizeof(float));
    if (!out.flush())
        throw std::runtime_error(path + ": cannot be written");
}

class Runner
{
public:
    Runner()
        : net_(CORE(hx_net_new)()), extractor_(0), seconds_(0)
    {
    }

    // Follows one line of the script; returns a HX_ code.
    int follow(std::istringstream& line)
    {
        std::string verb;
        line >> verb;
        if (verb == "set")
        {
            std::string name;
            int value = 0;
            line >> name >> value;
            return CORE(hx_net_set_option)(net_, name.c_str(), value);
        }
        if (verb == "param")
            return CORE(hx_net_load_param)(net_, rest(line).c_str());
        if (verb == "model")
            return CORE(hx_net_load_model)(net_, rest(line).c_str());
        if (verb == "options")
            return options();
        if (verb == "devices")
            return devices();
        if (verb == "places")
            return places(line);
        return follow_pass(verb, line);
    }

private:
    static std::string rest(std::istringstream& line)
    {
        std::string path;
        line >> std::ws;
        std::getline(line, path);
        return path;
    }

    int options()
    {
        for (int i = 0; i < CORE(hx_option_count)(); i++)
        {
            const char* name = CORE(hx_option_name)(i);
            int value = 0;
            CORE(hx_net_get_option)(net_, name, &value);
            const char* type = CORE(hx_option_is_bool)(i) ? "bool" : "int";
            std::cout << "option " << name << " " << type << " " << value << std::endl;
        }
        return HX_OK;
    }

    int devices()
    {
        std::cout << "devices " << CORE(hx_device_count)() << std::endl;
        std::istringstream text(CORE(hx_device_text)());
        for (std::string property; std::getline(text, property);)
            std::cout << "device " << property << std::endl;
        return HX_OK;
    }

    int places(std::istringstream& line)
    {
        int count = 0;
        line >> count;
        for (int i = 0; i < count; i++)
            std::cout << "place " << CORE(hx_net_layer_on_device)(net_, i) << std::endl;
        return HX_OK;
    }

    int follow_pass(const std::string& verb, std::istringstream& line)
    {
        if (verb == "pass")
        {
            int keep = 0;
            line >> keep;
            extractor_ = CORE(hx_extractor_new)(net_, keep);
            seconds_ = 0;
            return HX_OK;
        }
        if (verb == "end")
        {
            CORE(hx_extractor_delete)(extractor_);
            std::cout << "seconds " << seconds_ << std::endl;
            return HX_OK;
        }
        std::string blob;
        line >> blob;
        const std::string path = rest(line);
        if (verb == "input")
        {
            hx_tensor tensor = {};
            std::vector<float> data = read_npy(path, &tensor);
            tensor.data = data.data();
            return CORE(hx_extractor_input)(extractor_, blob.c_str(), &tensor);
        }
        if (verb == "extract")
            return extract(blob, path);
        throw std::runtime_error(verb + ": no such command");
    }

    // A blob that cannot be computed is an answer, not a failure of the script.
    int extract(const std::string& blob, const std::string& path)
    {
        typedef std::chrono::steady_clock clock;
        hx_tensor tensor = {};
        const clock::time_point started = clock::now();
        const int code = CORE(hx_extractor_extract)(extractor_, blob.c_str(), &tensor);
        seconds_ += std::chrono::duration<double>(clock::now() - started).count();
        if (code == HX_OK)
        {
            write_npy(path, tensor);
            CORE(hx_tensor_free)(&tensor);
        }
        std::cout << "blob " << blob << " " << code << std::endl;
        return HX_OK;
    }

    hx_net* net_;
    hx_extractor* extractor_;
    double seconds_;
};

int follow(const char* core, const char* script)
{
    library = dlopen(core, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        throw std::runtime_error(dlerror());
    if (CORE(hx_abi)() != HX_ABI)
        throw std::runtime_error(std::string(core) + ": built for another version of the harness");
    std::ifstream in(script);
    Runner runner;
    for (std::string text; std::getline(in, text);)
    {
        std::istringstream line(text);
        const int code = runner.follow(line);
        if (code != HX_OK)
        {
            std::cout << "error " << code << " " << text << std::endl;
            return 1;
        }
    }
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 3)
    {
        std::cerr << "usage: runner CORE SCRIPT" << std::endl;
        return 2;
    }
    try
    {
        return follow(argv[1], argv[2]);
    }
    catch (const std::exception& error)
    {
        std::cerr << error.what() << std::endl;
        return 2;
    }
}
