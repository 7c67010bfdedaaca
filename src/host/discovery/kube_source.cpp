#include "discovery/kube_source.h"

#include <random>
#include <utility>

namespace llmd::discovery {

/// One list that is watched. It lives until its coroutine has ended.
class KubeSource::Watch final : public kube::ObjectSink {
 public:
  Watch(KubeFeed& feed, kube::Client& client, const WatchedResource& resource)
      : feed_{feed},
        resource_{resource.resource},
        reflector_{client,
                   {.group = resource.group,
                    .version = resource.version,
                    .plural = resource.plural,
                    .ns = resource.name_space,
                    .label_selector = resource.label_selector,
                    .field_selector = resource.field_selector},
                   *this,
                   {},
                   std::random_device{}()} {}

  [[nodiscard]] static Task<void> run(std::shared_ptr<Watch> watch) { co_await watch->reflector_.run(); }
  void stop() { reflector_.stop(); }

  void replaced(std::vector<kube::Object> objects) override {
    std::vector<KubeObject> views;
    views.reserve(objects.size());
    for (const kube::Object& object : objects) views.push_back(view(object));
    feed_.replaced(resource_, views);
  }
  void upserted(kube::Object object) override { feed_.upserted(resource_, view(object)); }
  void deleted(kube::Object object) override { feed_.deleted(resource_, object.ns, object.name); }
  void absent() override { feed_.absent(resource_); }

 private:
  [[nodiscard]] static KubeObject view(const kube::Object& object) {
    return {.name_space = object.ns, .name = object.name, .json = object.json};
  }

  KubeFeed& feed_;
  const KubeResource resource_;
  kube::Reflector reflector_;
};

Result<std::unique_ptr<KubeSource>> KubeSource::make(Loop& loop, KubePool pool, pool::Pool& endpoints,
                                                     RulesBoard& board, MetricsRegistry& metrics) {
  LLMD_TRY(kube::Access access, kube::find_access());
  LLMD_TRY(std::unique_ptr<kube::Client> client, kube::Client::make(loop, std::move(access)));
  return std::unique_ptr<KubeSource>{
      new KubeSource{loop, std::move(client), std::move(pool), endpoints, board, metrics}};
}

KubeSource::KubeSource(Loop& loop, std::unique_ptr<kube::Client> client, KubePool pool, pool::Pool& endpoints,
                       RulesBoard& board, MetricsRegistry& metrics)
    : loop_{loop}, client_{std::move(client)}, feed_{loop, std::move(pool), endpoints, board, metrics} {}

KubeSource::~KubeSource() = default;

std::shared_ptr<KubeSource::Watch> KubeSource::watch(const WatchedResource& resource) {
  auto made = std::make_shared<Watch>(feed_, *client_, resource);
  loop_.spawn(Watch::run(made));
  return made;
}

void KubeSource::watch_pods(const WatchedResource& resource) {
  if (pods_ != nullptr) pods_->stop();
  pods_ = watch(resource);
}

void KubeSource::start() {
  for (const WatchedResource& resource : watched_objects(feed_.pool())) objects_.push_back(watch(resource));
  feed_.on_pods([this](const WatchedResource& resource) { watch_pods(resource); });
}

void KubeSource::stop() {
  for (const auto& each : objects_) each->stop();
  if (pods_ != nullptr) pods_->stop();
}

}  // namespace llmd::discovery
