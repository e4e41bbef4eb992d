"""Prints the names of Vulkan's devices, one a line; a process of its own, since drivers crash."""

from __future__ import annotations

import ctypes
import sys

LOADER = "libvulkan.so.1"
NAME_OFFSET = 20
"""Of `deviceName` in `VkPhysicalDeviceProperties`, behind five 32-bit numbers."""
NAME_SIZE = 256
PROPERTIES_SIZE = 4096
"""More than `VkPhysicalDeviceProperties` has."""


class _InstanceInfo(ctypes.Structure):
    """`VkInstanceCreateInfo` without application, layers and extensions."""

    _fields_ = (
        ("type", ctypes.c_int32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


def device_names() -> list[str]:
    """Return the devices' names.

    Raises:
        OSError: there is no loader, or it has no driver.
    """
    vulkan = ctypes.CDLL(LOADER)
    instance = ctypes.c_void_p()
    info = _InstanceInfo(type=1)
    code = vulkan.vkCreateInstance(ctypes.byref(info), None, ctypes.byref(instance))
    if code:
        raise OSError(f"vkCreateInstance gives {code}: no driver")
    count = ctypes.c_uint32()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    devices = (ctypes.c_void_p * count.value)()
    vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
    names = []
    for device in devices:
        properties = ctypes.create_string_buffer(PROPERTIES_SIZE)
        vulkan.vkGetPhysicalDeviceProperties(ctypes.c_void_p(device), properties)
        name = properties.raw[NAME_OFFSET : NAME_OFFSET + NAME_SIZE].partition(b"\0")[0]
        names.append(name.decode(errors="replace"))
    return names


if __name__ == "__main__":
    try:
        print("\n".join(device_names()))
    except OSError as error:
        sys.exit(str(error))
