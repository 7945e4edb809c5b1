<?php

declare(strict_types=1);

namespace StandIn\Projectors;

use StandIn\StoredEvent;

final class ReciterRevisions extends Revisions
{
    protected function type(): string
    {
        return 'reciter';
    }

    public function handles(): array
    {
        return ['reciter.created' => 'created', 'reciter.changed.name' => 'changed', 'reciter.changed.description' => 'changed',
            'reciter.changed.avatar' => 'changed', 'reciter.deleted' => 'deleted', 'album.created' => 'albumCreated'];
    }

    public function created(StoredEvent $event): void
    {
        $a = $event->attributes;
        $this->begin($event, ['id' => $event->id(), 'name' => $a['name'], 'description' => $a['description'] ?? null, 'avatar' => $a['avatar'] ?? null, 'albums' => []]);
    }

    public function changed(StoredEvent $event): void
    {
        $column = substr($event->alias, strlen('reciter.changed.'));
        $this->modify($event, $event->id(), [$column => $event->$column]);
    }

    public function albumCreated(StoredEvent $event): void
    {
        [$before] = $this->latest($event->reciterId);
        $this->modify($event, $event->reciterId, ['albums' => [...$before['albums'], $event->id()]]);
    }

    public function deleted(StoredEvent $event): void
    {
        $this->end($event, $event->id());
    }
}
