// What the launchers of cuda_launch.cuh read, in memory of the device that frees itself:
//
//   const gpu::uploaded_tables<Device> tables(device, how);            // once
//   const gpu::uploaded_batch<Device> clips(device, how.lay_out(ranges, channels));
//   gpu::extract(device, how, tables.on_device(), clips.host, clips.on_device(), samples, out, workspace);
#pragma once

#include <utility>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/kernels/mfcc/cuda_launch.cuh>

namespace hocket::kernels::mfcc::gpu {

template <CudaDevice Device>
struct uploaded_tables {
  uploaded_tables(const Device& device, const plan& how)
      : values(device, "mfcc: values", how.values()), words(device, "mfcc: words", how.words()) {}
  tables_on_device on_device() const { return {{values.data(), {values.size()}}, {words.data(), {words.size()}}}; }

  device_buffer<float, Device> values;
  device_buffer<std::uint32_t, Device> words;
};

template <CudaDevice Device>
struct uploaded_batch {
  uploaded_batch(const Device& device, batch laid_out)
      : host(std::move(laid_out)),
        clips(device, "mfcc: clips", host.clips),
        tiles(device, "mfcc: tiles", host.tiles),
        finish_tiles(device, "mfcc: finish_tiles", host.finish_tiles) {}
  batch_on_device on_device() const {
    return {
        {clips.data(), {clips.size()}}, {tiles.data(), {tiles.size()}}, {finish_tiles.data(), {finish_tiles.size()}}};
  }

  batch host;
  device_buffer<clip_entry, Device> clips;
  device_buffer<std::uint32_t, Device> tiles, finish_tiles;
};

}  // namespace hocket::kernels::mfcc::gpu
