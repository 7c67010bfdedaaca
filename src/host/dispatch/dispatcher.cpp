#include "dispatch/dispatcher.h"

#include "dispatch/call.h"

namespace llmd::dispatch {

struct Dispatcher::Impl {
  DispatchContext context;
};

Dispatcher::Dispatcher(Loop& loop, pool::Pool& pool, routing::Router& router, MetricsRegistry& metrics,
                       DispatchOptions options)
    : impl_{new Impl{DispatchContext{loop, pool, router, metrics, options}}} {}

Dispatcher::~Dispatcher() = default;

Task<Outcome> Dispatcher::carry_out(DispatchRequest& request, net::Exchange& exchange) {
  Call call{impl_->context, request, exchange};
  co_return co_await call.run();
}

}  // namespace llmd::dispatch
